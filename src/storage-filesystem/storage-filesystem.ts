/**
 * The storage contract on a directory of files (docs/storage-format.md). The caller holds the directory's lock.
 */
import { Effect, Layer, type Scope } from "effect"
import * as Path from "node:path"
import type { Log } from "../durable-streams/storage.ts"
import { Storage } from "../durable-streams/storage.ts"
import type { StorageFailed, StorageFull } from "../durable-streams/errors.ts"
import type { StreamName } from "../durable-streams/types.ts"
import { LogDamaged, StreamNotFound } from "../durable-streams/errors.ts"
import { toOffset } from "../durable-streams/types.ts"
import { toReadError, toStorageError } from "./disk-errors.ts"
import type { Disk, DiskFailure, DiskFile } from "./disk.ts"
import { nodeDisk } from "./disk.ts"
import { fromFileName, newSuffix, toFileName } from "./file-names.ts"
import type { Durability } from "./log-file.ts"
import { makeLog } from "./log-file.ts"
import { makeOpenFiles } from "./open-files.ts"
import { decodeHeader, encodeNewLog, isSoundHeader, lineFeed } from "./record-codec.ts"
import { recover } from "./recovery.ts"

export interface FileSystemOptions {
  /** The directory of the logs. It is made when it is not there. */
  readonly directory: string
  readonly durability: Durability
  /** Files open at once at the most; further streams take turns. */
  readonly openFilesMax?: number
  /** The disk, when it is not the real one. */
  readonly disk?: Disk
}

/** Leaves half of the usual hard limit (1,024) to sockets. */
const openFilesMaxDefault = 512

/** More than any header: a name has 512 bytes, of which each can take 2 characters in JSON, and a content type 256. */
const headerBytesMax = 4 * 1024

export const layerFileSystem = (options: FileSystemOptions): Layer.Layer<Storage, StorageFailed> =>
  Layer.effect(Storage, make(options))

const make = Effect.fnUntraced(function*(options: FileSystemOptions) {
  const { directory, disk = nodeDisk, durability, openFilesMax = openFilesMaxDefault } = options
  const files = makeOpenFiles(disk, openFilesMax)
  const pathOf = (name: StreamName) => Path.join(directory, toFileName(name))
  const namesOfHashed = new Map<string, StreamName>()

  const flushDirectory = durability === "fsync" ? disk.flushDirectory(directory) : Effect.void

  yield* Effect.gen(function*() {
    yield* disk.makeDirectory(directory)
    const left = (yield* disk.list(directory)).filter((file) =>
      file.endsWith(newSuffix) && fromFileName(file.slice(0, -newSuffix.length)) !== undefined
    )
    yield* Effect.forEach(left, (file) => disk.remove(Path.join(directory, file)), { discard: true })
  }).pipe(Effect.mapError(failed("use the data directory", undefined)))

  const open = Effect.fnUntraced(function*(name: StreamName) {
    const path = pathOf(name)
    const file = yield* disk.open(path).pipe(
      Effect.catchIf((failure) => failure.code === "ENOENT", () => Effect.fail(new StreamNotFound({ stream: name })))
    )
    return yield* opened(name, path, file).pipe(Effect.onError(() => file.close))
  }, Effect.uninterruptible)

  const opened = Effect.fnUntraced(function*(name: StreamName, path: string, file: DiskFile) {
    const recovered = yield* recover(file)
    if (recovered === "empty") return yield* new StreamNotFound({ stream: name })
    const header = yield* readHeader(file)
    if (recovered === "damaged" || header?.sound !== true || header.description.name !== name) {
      yield* Effect.logError("A log is damaged from its start; it is left as it is").pipe(
        Effect.annotateLogs({ stream: name, path })
      )
      return yield* new LogDamaged({ stream: name, offset: toOffset(0) })
    }
    if (recovered.damaged) {
      yield* Effect.logError("A log is damaged before its tail; it is left as it is").pipe(
        Effect.annotateLogs({ stream: name, path })
      )
    }
    if (recovered.torn > 0) {
      yield* file.truncate(recovered.size)
      yield* file.flush
      yield* Effect.logWarning("A torn commit was cut from the end of a log").pipe(
        Effect.annotateLogs({ stream: name, path, bytes: recovered.torn, offset: toOffset(recovered.tail) })
      )
    }
    const openFile = yield* files.file(path, file)
    yield* Effect.addFinalizer(() => openFile.release)
    return makeLog(openFile, header.description, recovered, durability)
  })

  const create: Storage["Service"]["create"] = Effect.fnUntraced(
    function*(description, first) {
      const { name } = description
      const path = pathOf(name)
      const encoded = encodeNewLog(description, first)
      const file = yield* disk.create(path + newSuffix)
      yield* Effect.gen(function*() {
        yield* file.write(encoded.bytes, 0)
        if (durability === "fsync") yield* file.flush
        yield* disk.rename(path + newSuffix, path)
        yield* Effect.onError(flushDirectory, () => Effect.ignore(disk.remove(path)))
      }).pipe(Effect.onError(() => Effect.andThen(file.close, Effect.ignore(disk.remove(path + newSuffix)))))
      const openFile = yield* files.file(path, file)
      yield* Effect.addFinalizer(() => openFile.release)
      const tail = first.events.count
      const { state } = first
      const size = encoded.bytes.length
      return makeLog(
        openFile,
        description,
        { size, crc: encoded.crc, tail, state, torn: 0, damaged: false },
        durability
      )
    },
    (effect, { name }) =>
      Effect.uninterruptible(
        Effect.catchTag(effect, "DiskFailure", (failure): Effect.Effect<Log, StorageFailed | StorageFull> =>
          Effect.fail(toStorageError("make the stream", name, failure)))
      )
  )

  /** A file's name as it stands in the file; undefined when the file is none of ours. */
  const nameInside = (file: string): Effect.Effect<StreamName | undefined, DiskFailure> => {
    const known = namesOfHashed.get(file)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.acquireUseRelease(disk.open(Path.join(directory, file)), readHeader, (opened) => opened.close).pipe(
      Effect.map((header) => {
        // The hash in the file's name vouches for the name, whatever else of the header is damaged.
        if (header === undefined || toFileName(header.description.name) !== file) return undefined
        namesOfHashed.set(file, header.description.name)
        return header.description.name
      }),
      // Deleted since it was listed.
      Effect.catchIf((failure) => failure.code === "ENOENT", () => Effect.undefined)
    )
  }

  return Storage.of({
    kind: "fs",
    open: (name): Effect.Effect<Log, StreamNotFound | StorageFailed | LogDamaged, Scope.Scope> =>
      Effect.catchTag(open(name), "DiskFailure", (failure) => Effect.fail(failed("open", name)(failure))),
    create,
    list: Effect.gen(function*() {
      const names: Array<StreamName> = []
      for (const file of yield* disk.list(directory)) {
        const found = fromFileName(file)
        const name = found === "hashed" ? yield* nameInside(file) : found
        if (name !== undefined) names.push(name)
      }
      return names.toSorted()
    }).pipe(Effect.mapError(failed("list the streams", undefined))),
    delete: (name) =>
      Effect.uninterruptible(Effect.andThen(disk.remove(pathOf(name)), flushDirectory)).pipe(
        Effect.mapError((failure) =>
          failure.code === "ENOENT" && failure.call === "unlink"
            ? new StreamNotFound({ stream: name })
            : failed("delete", name)(failure)
        )
      )
  })
})

const readHeader = Effect.fnUntraced(function*(file: DiskFile) {
  const bytes = Buffer.allocUnsafe(headerBytesMax)
  const got = yield* file.read(bytes, headerBytesMax, 0)
  const end = bytes.subarray(0, got).indexOf(lineFeed) + 1
  const description = end === 0 ? undefined : decodeHeader(bytes.toString("utf8", 0, end - 1))
  return description === undefined ? undefined : { description, sound: isSoundHeader(bytes, end) }
})

const failed = (doing: string, name: StreamName | undefined) => (failure: DiskFailure) =>
  toReadError(doing, name, failure)
