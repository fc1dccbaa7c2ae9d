/**
 * The directory of the logs: which file holds which log, and which logs exist (docs/storage-format.md 2 and 5). A change
 * that cannot be made durable is taken back (entry-flush.ts); while a file's entry is in doubt, its log cannot be opened.
 */
import { type Clock, Effect, Exit } from "effect"
import * as Path from "node:path"
import type { StreamName } from "../../domain/types.ts"
import type { Disk, DiskFailure, DiskFile } from "../disk/disk.ts"
import { isMissing, removeIfThere } from "../disk/disk.ts"
import { expiringSuffix, fromFileName, hiddenSuffix, newSuffix, probeName, toFileName } from "../format/file-names.ts"
import { makeEntryFlush } from "./entry-flush.ts"
import type { Header } from "./log-header.ts"
import { readHeader } from "./log-header.ts"
import { makeLogNames } from "./log-names.ts"

export interface FoundFile {
  readonly path: string
  readonly file: DiskFile
  /** Whether the log's stream was deleted, and the log is kept for its forks. */
  readonly hidden: boolean
}

export type LogDirectory = ReturnType<typeof makeLogDirectory>

export const makeLogDirectory = (disk: Disk, directory: string, durable: boolean, clock: Clock.Clock) => {
  const pathOf = (name: StreamName) => Path.join(directory, toFileName(name))
  const flush = durable ? disk.flushDirectory(directory) : Effect.void
  const entries = makeEntryFlush(flush)
  const names = makeLogNames(disk, directory, clock)

  /** Opens a log's file, hidden or not, by the name that it has while it is not hidden. Fails with ENOENT if neither exists. */
  const find = (file: string): Effect.Effect<FoundFile, DiskFailure> => {
    const path = Path.join(directory, file)
    return Effect.catchIf(openAt(path, false), isMissing, () => openAt(path + hiddenSuffix, true))
  }

  const open = (name: StreamName) => Effect.andThen(entries.resolveDoubt(toFileName(name)), find(toFileName(name)))

  const openAt = (path: string, hidden: boolean) => Effect.map(disk.open(path), (file) => ({ path, file, hidden }))

  /** Tells the list of names that a log was created or is gone; after a failure only the directory knows. */
  const noting = (change: () => void) => <A>(doing: Effect.Effect<A, DiskFailure>) =>
    Effect.onExit(doing, (exit) => Effect.sync(Exit.isSuccess(exit) ? change : names.doubt))

  const removeMark = (path: string) => Effect.ignore(removeIfThere(disk, path + expiringSuffix))

  return {
    open,
    find,
    pathOf,

    /** The disk for files that come and go beside the logs: the list does not take them for the changes of others. */
    notingDisk: {
      ...disk,
      create: (path: string) =>
        Effect.suspend(() => {
          names.touched()
          return disk.create(path)
        })
    } satisfies Disk,

    prepare: prepare(disk, directory, flush, names),

    /** The names of the logs that are not hidden, sorted. */
    list: names.list,

    /** Reads what a log was created with from its first line; undefined if that line is no header. */
    describe: (name: StreamName): Effect.Effect<Header | undefined, DiskFailure> =>
      Effect.acquireUseRelease(open(name), ({ file }) => readHeader(file), ({ file }) => file.close),

    /** Gives a new log its name. */
    publish: (name: StreamName) =>
      Effect.andThen(
        disk.rename(pathOf(name) + newSuffix, pathOf(name)),
        entries.flush(toFileName(name), disk.remove(pathOf(name)))
      ).pipe(noting(() => names.added(name))),

    /** Hides a log. The mark goes last: alone it means nothing, and the next start removes it. */
    hide: Effect.fnUntraced(function*(name: StreamName) {
      const path = pathOf(name)
      const undo = yield* disk.rename(path, path + hiddenSuffix).pipe(
        Effect.as(disk.rename(path + hiddenSuffix, path)),
        // If the log is hidden already, only the flush is missing.
        Effect.catchIf(
          isMissing,
          () => Effect.flatMap(disk.open(path + hiddenSuffix), (file) => Effect.as(file.close, undefined))
        )
      )
      yield* entries.flush(toFileName(name), undo)
      yield* removeMark(path)
    }, (hiding, name) => noting(() => names.removed(name))(hiding)),

    /** Removes a log, hidden or not. If neither exists, it flushes that before it fails. */
    remove: Effect.fnUntraced(function*(name: StreamName) {
      const path = pathOf(name)
      yield* disk.remove(path).pipe(
        Effect.catchIf(isMissing, () => disk.remove(path + hiddenSuffix)),
        Effect.catchIf(isMissing, (failure) => Effect.andThen(entries.flush(toFileName(name)), Effect.fail(failure)))
      )
      yield* entries.flush(toFileName(name))
      yield* removeMark(path)
    }, (removing, name) => noting(() => names.removed(name))(removing)),

    /** Marks a log that is about to be created as one that can expire. */
    markExpiring: (name: StreamName) =>
      Effect.flatMap(disk.create(pathOf(name) + expiringSuffix), (file) => file.close),

    usedAt: (name: StreamName): Effect.Effect<number> =>
      Effect.orElseSucceed(disk.stampOf(pathOf(name) + expiringSuffix), () => 0),

    setUsedAt: (name: StreamName, at: number): Effect.Effect<void> =>
      Effect.ignore(disk.stamp(pathOf(name) + expiringSuffix, at))
  }
}

/** Makes the directory, removes unfinished files, and returns the names of the logs, and of those that can expire. */
const prepare = (
  disk: Disk,
  directory: string,
  flush: Effect.Effect<void, DiskFailure>,
  names: ReturnType<typeof makeLogNames>
) =>
  Effect.gen(function*() {
    yield* disk.makeDirectory(directory)
    const time = yield* names.begin
    const entries = yield* disk.list(directory)
    const existing = new Set(entries)
    const unfinished = entries.filter((file) => isUnfinished(file, existing))
    yield* Effect.forEach(unfinished, (file) => disk.remove(Path.join(directory, file)), { discard: true })
    // An earlier process may have changed entries that this one sees, and that no flush has made durable yet.
    yield* flush
    for (const file of unfinished) existing.delete(file)
    const listed = yield* names.namesWith("", existing)
    names.take(listed, existing, time)
    return { listed, expiring: yield* names.namesWith(expiringSuffix, existing) }
  })

/** A log that was being created, the mark of a log that is gone, or the probe. */
const isUnfinished = (file: string, existing: ReadonlySet<string>): boolean => {
  if (file === probeName) return true
  const isNew = file.endsWith(newSuffix)
  if (!isNew && !file.endsWith(expiringSuffix)) return false
  const log = file.slice(0, -newSuffix.length)
  return fromFileName(log) !== undefined && (isNew || !existing.has(log))
}
