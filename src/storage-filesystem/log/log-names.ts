/**
 * Which logs exist, by name and sorted (docs/storage-format.md 2). This process knows its own changes; it
 * finds the changes of others by the directory's modification time. So a list costs a look at that time, and the names that
 * it answers.
 */
import { type Clock, Effect, Semaphore } from "effect"
import { steadyMillis } from "../../domain/steady-time.ts"
import type { StreamName } from "../../domain/types.ts"
import type { NamesWanted } from "../../storage/sorted-names.ts"
import { SortedNames } from "../../storage/sorted-names.ts"
import type { Disk, DiskFailure } from "../disk/disk.ts"
import { fromFileName, toFileName } from "../format/file-names.ts"
import type { LongNames } from "./long-names.ts"
import { makeLongNames } from "./long-names.ts"

/** Time between two readings of a directory that this process changes itself. */
const pauseMillis = 1_000

/** At least this many times the last reading's time passes before the next one: reading takes five percent at most. */
const pauseShare = 20

/** The coarsest time that a file system keeps: a change within it may not show in the directory's time. */
const coarseMillis = 2_000

/** Names that are decoded before others have their turn. */
const namesAtOnce = 2_000

export const makeLogNames = (disk: Disk, directory: string, clock: Clock.Clock) => {
  const one = Semaphore.makeUnsafe(1)
  const longNames = makeLongNames(disk, directory)
  let names = new SortedNames()
  /** The directory's time at or before the last reading; undefined if it must be read. */
  let stamp: number | undefined
  let isCertain = false
  let readAt = -Infinity
  /** A change before this time does show in the directory's time. */
  let certainBefore = -Infinity
  let took = 0
  /** Whether this process has changed the directory since. */
  let isChanged = false
  let isDoubted = false
  /** Changes of this process while the directory is read: the names that exist now, and those that do not. */
  let meanwhile: Map<StreamName, boolean> | undefined

  const namesWith = (suffix: string, entries: Iterable<string>) => findNames(longNames, suffix, entries)

  /** Begins a reading of the directory; returns the directory's time. */
  const begin = Effect.suspend(() => {
    readAt = steadyMillis(clock)
    certainBefore = clock.currentTimeMillisUnsafe() - coarseMillis
    isChanged = false
    isDoubted = false
    meanwhile = new Map()
    return timeOf
  })

  /** Ends a reading: these names were found after the directory had that time. */
  const take = (found: ReadonlyArray<StreamName>, entries: ReadonlySet<string>, time: number | undefined) => {
    names = new SortedNames(found)
    longNames.keepOnly(entries)
    for (const [name, isThere] of meanwhile ?? []) change(name, isThere)
    meanwhile = undefined
    stamp = isDoubted ? undefined : time
    isCertain = !longNames.isIncomplete() && time !== undefined && time < certainBefore
    took = steadyMillis(clock) - readAt
  }

  const read = Effect.gen(function*() {
    const time = yield* begin
    const entries = new Set(yield* disk.list(directory))
    take(yield* namesWith("", entries), entries, time)
  })

  const timeOf = Effect.orElseSucceed(disk.stampOf(directory), () => undefined)

  const isDue = (time: number | undefined): boolean => {
    if (stamp === undefined || time === undefined) return true
    if (time === stamp && isCertain) return false
    if (time !== stamp && !isChanged) return true
    return steadyMillis(clock) - readAt >= Math.max(pauseMillis, pauseShare * took)
  }

  /** Reads the directory if that is due, and once for all that ask meanwhile. */
  const upToDate = Effect.flatMap(timeOf, (time) =>
    isDue(time)
      ? one.withPermits(1)(Effect.flatMap(timeOf, (time) => isDue(time) ? read : Effect.void))
      : Effect.void)

  const change = (name: StreamName, isThere: boolean) => {
    isChanged = true
    meanwhile?.set(name, isThere)
    if (isThere) return names.add(name)
    names.delete(name)
    longNames.forget(toFileName(name))
  }

  return {
    /** The names of the logs beside which a file with this suffix lies. */
    namesWith,

    begin,
    take,
    added: (name: StreamName) => change(name, true),
    removed: (name: StreamName) => change(name, false),
    /** This process has changed an entry that is no log. */
    touched: () => {
      isChanged = true
    },
    /** An addition or a removal failed, so it may or may not have happened. */
    doubt: () => {
      isDoubted = true
      stamp = undefined
    },

    list: (wanted?: NamesWanted): Effect.Effect<ReadonlyArray<StreamName>, DiskFailure> =>
      Effect.map(upToDate, () => names.list(wanted))
  }
}

const findNames = Effect.fnUntraced(function*(longNames: LongNames, suffix: string, entries: Iterable<string>) {
  const found: Array<StreamName> = []
  let looked = 0
  for (const entry of entries) {
    if (++looked % namesAtOnce === 0) yield* Effect.yieldNow
    if (!entry.endsWith(suffix)) continue
    const file = entry.slice(0, entry.length - suffix.length)
    const plain = fromFileName(file)
    const name = plain === "hashed" ? yield* longNames.nameOf(file) : plain
    if (name !== undefined) found.push(name)
  }
  return found
})
