/**
 * The directory of the logs: which file is whose, and which there are (docs/storage-format.md 2 and 5). What cannot be made
 * durable is taken back; where that fails, too, the log cannot be opened before it is certain what a power cut would leave
 * of it.
 */
import { type Clock, Effect, Exit } from "effect"
import * as Path from "node:path"
import type { StreamName } from "../../domain/types.ts"
import type { Disk, DiskFailure, DiskFile } from "../disk/disk.ts"
import { isMissing, removeIfThere } from "../disk/disk.ts"
import { expiringSuffix, fromFileName, hiddenSuffix, newSuffix, probeName, toFileName } from "../format/file-names.ts"
import type { Header } from "./log-header.ts"
import { readHeader } from "./log-header.ts"
import { makeLogNames } from "./log-names.ts"

export interface FoundFile {
  readonly path: string
  readonly file: DiskFile
  /** Whether it is the log of a stream that was deleted and has forks. */
  readonly hidden: boolean
}

export const makeLogDirectory = (disk: Disk, directory: string, durable: boolean, clock: Clock.Clock) => {
  const pathOf = (name: StreamName) => Path.join(directory, toFileName(name))
  const flush = durable ? disk.flushDirectory(directory) : Effect.void
  const names = makeLogNames(disk, directory, clock)
  /** Files of which it is not certain under which name, if any, a power cut would leave them. */
  const doubted = new Set<string>()

  /** Flushes what was done to a file's entry. Where that fails it is undone, if it can be. */
  const settle = (file: string, undo?: Effect.Effect<void, DiskFailure>) => {
    const doubt = Effect.sync(() => void doubted.add(file))
    const settled = Effect.map(flush, () => void doubted.delete(file))
    return Effect.onError(
      settled,
      () => undo === undefined ? doubt : Effect.catch(Effect.andThen(undo, settled), () => doubt)
    )
  }

  const certain = (file: string) => Effect.suspend(() => doubted.has(file) ? settle(file) : Effect.void)

  /** Opens a log's file, hidden or not, by the name it has while it is not hidden. Fails with ENOENT where it is not. */
  const find = (file: string): Effect.Effect<FoundFile, DiskFailure> => {
    const path = Path.join(directory, file)
    return Effect.catchIf(openAt(path, false), isMissing, () => openAt(path + hiddenSuffix, true))
  }

  const open = (name: StreamName) => Effect.andThen(certain(toFileName(name)), find(toFileName(name)))

  const openAt = (path: string, hidden: boolean) => Effect.map(disk.open(path), (file) => ({ path, file, hidden }))

  /** What becomes of a list when the log was made or is gone; where that failed, only the directory tells. */
  const noted = (change: () => void) => <A>(doing: Effect.Effect<A, DiskFailure>) =>
    Effect.onExit(doing, (exit) => Effect.sync(Exit.isSuccess(exit) ? change : names.doubt))

  return {
    open,
    find,
    pathOf,

    /** The disk for what comes and goes beside the logs, so that it is not taken for what somebody else does. */
    touching: {
      ...disk,
      create: (path: string) =>
        Effect.suspend(() => {
          names.touched()
          return disk.create(path)
        })
    } satisfies Disk,

    /** Makes the directory, removes what was never finished, and says what is there. */
    prepare: Effect.gen(function*() {
      yield* disk.makeDirectory(directory)
      const time = yield* names.begin
      const entries = yield* disk.list(directory)
      const there = new Set(entries)
      const left = entries.filter((file) => isLeft(file, there))
      yield* Effect.forEach(left, (file) => disk.remove(Path.join(directory, file)), { discard: true })
      // What an earlier process did may have been seen only, and not be durable yet.
      yield* flush
      for (const file of left) there.delete(file)
      const listed = yield* names.namesWith("", there)
      names.take(listed, there, time)
      return { listed, expiring: yield* names.namesWith(expiringSuffix, there) }
    }),

    /** The names of the logs that are not hidden, sorted. */
    list: names.list,

    /** What a log was made with, from its first line; undefined when that says nothing. */
    describe: (name: StreamName): Effect.Effect<Header | undefined, DiskFailure> =>
      Effect.acquireUseRelease(open(name), ({ file }) => readHeader(file), ({ file }) => file.close),

    /** Gives a log that was made its name. */
    publish: (name: StreamName) =>
      Effect.andThen(
        disk.rename(pathOf(name) + newSuffix, pathOf(name)),
        settle(toFileName(name), disk.remove(pathOf(name)))
      ).pipe(noted(() => names.added(name))),

    /** The mark goes last: alone it is nothing, and is removed at the next start. */
    hide: Effect.fnUntraced(function*(name: StreamName) {
      const path = pathOf(name)
      const undo = yield* disk.rename(path, path + hiddenSuffix).pipe(
        Effect.as(disk.rename(path + hiddenSuffix, path)),
        // Hidden already, if it is there: only the flush is missing.
        Effect.catchIf(
          isMissing,
          () => Effect.flatMap(disk.open(path + hiddenSuffix), (file) => Effect.as(file.close, undefined))
        )
      )
      yield* settle(toFileName(name), undo)
      yield* Effect.ignore(removeIfThere(disk, path + expiringSuffix))
    }, (hiding, name) => noted(() => names.removed(name))(hiding)),

    /** The same; the log may be hidden. Where it is not there, that is durable, too. */
    remove: Effect.fnUntraced(function*(name: StreamName) {
      const path = pathOf(name)
      yield* disk.remove(path).pipe(
        Effect.catchIf(isMissing, () => disk.remove(path + hiddenSuffix)),
        Effect.catchIf(isMissing, (failure) => Effect.andThen(settle(toFileName(name)), Effect.fail(failure)))
      )
      yield* settle(toFileName(name))
      yield* Effect.ignore(removeIfThere(disk, path + expiringSuffix))
    }, (removing, name) => noted(() => names.removed(name))(removing)),

    /** Says of a log that is about to be made that it can expire. */
    markExpiring: (name: StreamName) =>
      Effect.flatMap(disk.create(pathOf(name) + expiringSuffix), (file) => file.close),

    usedAt: (name: StreamName): Effect.Effect<number> =>
      Effect.orElseSucceed(disk.stampOf(pathOf(name) + expiringSuffix), () => 0),

    setUsedAt: (name: StreamName, at: number): Effect.Effect<void> =>
      Effect.ignore(disk.stamp(pathOf(name) + expiringSuffix, at))
  }
}

/** A log that was being made, or the mark of one that is gone. */
const isLeft = (file: string, there: ReadonlySet<string>): boolean => {
  if (file === probeName) return true
  const isNew = file.endsWith(newSuffix)
  if (!isNew && !file.endsWith(expiringSuffix)) return false
  const log = file.slice(0, -newSuffix.length)
  return fromFileName(log) !== undefined && (isNew || !there.has(log))
}
