/**
 * The directory of the logs: which file is whose, and which there are (docs/storage-format.md 2 and 5). What cannot be made
 * durable is taken back; where that fails, too, the log cannot be opened before it is certain what a power cut would leave
 * of it.
 */
import { Effect } from "effect"
import * as Path from "node:path"
import type { StreamName } from "../durable-streams/types.ts"
import type { Disk, DiskFailure, DiskFile } from "./disk.ts"
import { isMissing, removeIfThere } from "./disk.ts"
import { expiringSuffix, fromFileName, hiddenSuffix, newSuffix, probeName, toFileName } from "./file-names.ts"
import type { Header } from "./log-header.ts"
import { readHeader } from "./log-header.ts"

export interface FoundFile {
  readonly path: string
  readonly file: DiskFile
  /** Whether it is the log of a stream that was deleted and has forks. */
  readonly hidden: boolean
}

export const makeLogDirectory = (disk: Disk, directory: string, durable: boolean) => {
  const pathOf = (name: StreamName) => Path.join(directory, toFileName(name))
  const flush = durable ? disk.flushDirectory(directory) : Effect.void
  const namesOfHashed = new Map<string, StreamName>()
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

  const withHeader = (file: string) =>
    Effect.acquireUseRelease(disk.open(Path.join(directory, file)), readHeader, (opened) => opened.close)

  /** A file's name as it stands in the file; undefined when the file is none of ours. */
  const nameInside = (file: string): Effect.Effect<StreamName | undefined, DiskFailure> => {
    const known = namesOfHashed.get(file)
    if (known !== undefined) return Effect.succeed(known)
    return withHeader(file).pipe(
      Effect.map((header) => {
        // The hash in the file's name vouches for the name, whatever else of the header is damaged.
        if (header === undefined || toFileName(header.description.name) !== file) return undefined
        namesOfHashed.set(file, header.description.name)
        return header.description.name
      }),
      // Deleted since it was listed.
      Effect.catchIf(isMissing, () => Effect.undefined)
    )
  }

  /** The names of the logs beside which there is such a file. */
  const namesWith = Effect.fnUntraced(function*(suffix: string, entries: Iterable<string>) {
    const names: Array<StreamName> = []
    for (const entry of entries) {
      if (!entry.endsWith(suffix)) continue
      const file = entry.slice(0, entry.length - suffix.length)
      const found = fromFileName(file)
      const name = found === "hashed" ? yield* nameInside(file) : found
      if (name !== undefined) names.push(name)
    }
    return names
  })

  return {
    open,
    find,
    pathOf,

    /** Makes the directory, removes what was never finished, and says what is there. */
    prepare: Effect.gen(function*() {
      yield* disk.makeDirectory(directory)
      const entries = yield* disk.list(directory)
      const there = new Set(entries)
      const left = entries.filter((file) => isLeft(file, there))
      yield* Effect.forEach(left, (file) => disk.remove(Path.join(directory, file)), { discard: true })
      // What an earlier process did may have been seen only, and not be durable yet.
      yield* flush
      for (const file of left) there.delete(file)
      return { listed: yield* namesWith("", there), expiring: yield* namesWith(expiringSuffix, there) }
    }),

    /** The names of the logs that are not hidden, sorted. */
    list: Effect.map(
      Effect.flatMap(disk.list(directory), (entries) => namesWith("", entries)),
      (names) => names.toSorted()
    ),

    /** What a log was made with, from its first line; undefined when that says nothing. */
    describe: (name: StreamName): Effect.Effect<Header | undefined, DiskFailure> =>
      Effect.acquireUseRelease(open(name), ({ file }) => readHeader(file), ({ file }) => file.close),

    /** Gives a log that was made its name. */
    publish: (name: StreamName) =>
      Effect.andThen(
        disk.rename(pathOf(name) + newSuffix, pathOf(name)),
        settle(toFileName(name), disk.remove(pathOf(name)))
      ),

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
    }),

    /** The same; the log may be hidden. Where it is not there, that is durable, too. */
    remove: Effect.fnUntraced(function*(name: StreamName) {
      const path = pathOf(name)
      yield* disk.remove(path).pipe(
        Effect.catchIf(isMissing, () => disk.remove(path + hiddenSuffix)),
        Effect.catchIf(isMissing, (failure) => Effect.andThen(settle(toFileName(name)), Effect.fail(failure)))
      )
      yield* settle(toFileName(name))
      yield* Effect.ignore(removeIfThere(disk, path + expiringSuffix))
    }),

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
