/**
 * Which logs there are, by name and sorted (docs/storage-format.md 2). What this process makes and removes is known; what
 * others put into the directory, or take out of it, is found by the directory's own time. So a list costs a look at that
 * time, and what is answered.
 */
import { type Clock, Effect, Semaphore } from "effect"
import * as Path from "node:path"
import { steadyMillis } from "../../domain/steady-time.ts"
import type { StreamName } from "../../domain/types.ts"
import type { NamesWanted } from "../../storage/sorted-names.ts"
import { SortedNames } from "../../storage/sorted-names.ts"
import type { Disk, DiskFailure } from "../disk/disk.ts"
import { isMissing } from "../disk/disk.ts"
import { fromFileName, toFileName } from "../format/file-names.ts"
import { readHeader } from "./log-header.ts"

/** Between two readings of a directory in which this process makes and removes logs itself, and which has changed anyway. */
const pauseMillis = 1_000

/** So much longer than a reading took, at least, is not spent on the next one: five of a hundred at the most. */
const pauseShare = 20

/** The coarsest time that a file system keeps: what happens within it may not show in the directory's time. */
const coarseMillis = 2_000

/** Names that are decoded before others have their turn. */
const namesAtOnce = 2_000

export const makeLogNames = (disk: Disk, directory: string, clock: Clock.Clock) => {
  const one = Semaphore.makeUnsafe(1)
  let names = new SortedNames()
  /** The names that only the files tell. */
  let hashed = new Map<string, StreamName>()
  /** Files that do not tell theirs now, though they are there. */
  let unreadable = new Set<string>()
  /** The directory's time at the last reading, or before it; undefined: it has to be read. */
  let stamp: number | undefined
  let isCertain = false
  let readAt = -Infinity
  /** What has changed before it does show in the directory's time. */
  let certainBefore = -Infinity
  let took = 0
  /** Whether this process has changed the directory since. */
  let isChanged = false
  let isDoubted = false
  /** What it changed while the directory was read: the names that are there now, and those that are not. */
  let meanwhile: Map<StreamName, boolean> | undefined

  /** A file's name as it stands in the file; undefined when the file is none of ours, or cannot be read. */
  const nameInside = (file: string): Effect.Effect<StreamName | undefined> => {
    const known = hashed.get(file)
    if (known !== undefined) return Effect.succeed(known)
    const path = Path.join(directory, file)
    return Effect.acquireUseRelease(disk.open(path), readHeader, (opened) => opened.close).pipe(
      Effect.map((header) => {
        unreadable.delete(file)
        // The hash in the file's name vouches for the name, whatever else of the header is damaged.
        if (header === undefined || toFileName(header.description.name) !== file) return undefined
        hashed.set(file, header.description.name)
        return header.description.name
      }),
      Effect.catch((failure) => isMissing(failure) ? Effect.undefined : leftOut(file, failure))
    )
  }

  /** One file that cannot be read is no reason to do without the others. */
  const leftOut = (file: string, { call, code }: DiskFailure) =>
    Effect.suspend(() => {
      if (unreadable.has(file)) return Effect.undefined
      unreadable.add(file)
      return Effect.as(
        Effect.annotateLogs(
          Effect.logError("A log with a long name cannot be read, so its stream is left out of all lists"),
          { path: Path.join(directory, file), call, code }
        ),
        undefined
      )
    })

  /** The names of the logs beside which there is such a file. */
  const namesWith = Effect.fnUntraced(function*(suffix: string, entries: Iterable<string>) {
    const found: Array<StreamName> = []
    let looked = 0
    for (const entry of entries) {
      if (++looked % namesAtOnce === 0) yield* Effect.yieldNow
      if (!entry.endsWith(suffix)) continue
      const file = entry.slice(0, entry.length - suffix.length)
      const plain = fromFileName(file)
      const name = plain === "hashed" ? yield* nameInside(file) : plain
      if (name !== undefined) found.push(name)
    }
    return found
  })

  /** Before the directory is read; answers its time. */
  const begin = Effect.suspend(() => {
    readAt = steadyMillis(clock)
    certainBefore = clock.currentTimeMillisUnsafe() - coarseMillis
    isChanged = false
    isDoubted = false
    meanwhile = new Map()
    return timeOf
  })

  /** The names that were found since it had that time. */
  const take = (found: ReadonlyArray<StreamName>, entries: ReadonlySet<string>, time: number | undefined) => {
    names = new SortedNames(found)
    hashed = new Map([...hashed].filter(([file]) => entries.has(file)))
    unreadable = new Set([...unreadable].filter((file) => entries.has(file)))
    for (const [name, isThere] of meanwhile ?? []) change(name, isThere)
    meanwhile = undefined
    stamp = isDoubted ? undefined : time
    isCertain = unreadable.size === 0 && time !== undefined && time < certainBefore
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

  /** The directory is read again only where it is due, and once for all who ask meanwhile. */
  const upToDate = Effect.flatMap(timeOf, (time) =>
    isDue(time)
      ? one.withPermits(1)(Effect.flatMap(timeOf, (time) => isDue(time) ? read : Effect.void))
      : Effect.void)

  const change = (name: StreamName, isThere: boolean) => {
    isChanged = true
    meanwhile?.set(name, isThere)
    if (isThere) return names.add(name)
    names.delete(name)
    hashed.delete(toFileName(name))
  }

  return {
    namesWith,

    begin,
    take,
    added: (name: StreamName) => change(name, true),
    removed: (name: StreamName) => change(name, false),
    /** Something else than a log is put there, or was taken away. */
    touched: () => {
      isChanged = true
    },
    /** It is not known whether something was added or removed. */
    doubt: () => {
      isDoubted = true
      stamp = undefined
    },

    list: (wanted?: NamesWanted): Effect.Effect<ReadonlyArray<StreamName>, DiskFailure> =>
      Effect.map(upToDate, () => names.list(wanted))
  }
}
