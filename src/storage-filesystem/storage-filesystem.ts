/**
 * The storage contract on a directory of files (docs/storage-format.md). The caller holds the directory's lock.
 */
import { Clock, Effect, Layer, type Scope } from "effect"
import * as Path from "node:path"
import type { StorageError, StorageFull } from "../domain/errors.ts"
import { LogDamaged, StreamNotFound } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import { toOffset } from "../domain/types.ts"
import type { Log } from "../storage/storage.ts"
import { Storage } from "../storage/storage.ts"
import { toReadError, toStorageError } from "./disk/disk-errors.ts"
import type { Disk, DiskFailure } from "./disk/disk.ts"
import { isMissing, nodeDisk } from "./disk/disk.ts"
import { makeOpenFiles } from "./disk/open-files.ts"
import { makeProbe } from "./disk/probe.ts"
import { toFileName } from "./format/file-names.ts"
import { makeFlusher } from "./journal/flusher.ts"
import { makeJournal } from "./journal/journal.ts"
import { makeLogDirectory } from "./log/log-directory.ts"
import { makeFlushOnOpen } from "./writing/flush-on-open.ts"
import { makeLogOpener } from "./writing/log-opener.ts"

type Durability = "fsync" | "os"

export interface FileSystemOptions {
  /** The directory of the logs. It is made if it does not exist. */
  readonly directory: string
  readonly durability: Durability
  /** The most files that are open at once; further streams take turns. */
  readonly openFilesMax?: number
  /** Bytes of each of the journal's two areas, which lie beside the directory. */
  readonly journalBytesMax?: number
  /** The disk, if it is not the real one. */
  readonly disk?: Disk
}

/** Leaves half of the usual hard limit (1,024) to sockets. */
const openFilesMaxDefault = 512

export const layerFileSystem = (options: FileSystemOptions): Layer.Layer<Storage, StorageError> =>
  Layer.effect(Storage, make(options))

const make = Effect.fnUntraced(function*(options: FileSystemOptions) {
  const { directory, disk = nodeDisk, openFilesMax = openFilesMaxDefault } = options
  const durable = options.durability === "fsync"
  const clock = yield* Clock.Clock
  const files = makeOpenFiles(disk, openFilesMax)
  const logs = makeLogDirectory(disk, directory, durable, clock)

  const atStart = yield* Effect.mapError(logs.prepare, failed("use the data directory", undefined))
  const journal = yield* Effect.mapError(
    makeJournal(disk, Path.dirname(directory), logs.find, options.journalBytesMax),
    failed("read the journal", undefined)
  )
  const flusher = durable ? yield* makeFlusher(journal) : undefined
  const flushOnOpen = makeFlushOnOpen(journal, durable)
  const probe = yield* makeProbe(logs.notingDisk, directory, durable, clock)
  const onFailure = probe.suspect
  const { create, open } = makeLogOpener({ disk, clock, files, logs, journal, flusher, flushOnOpen, onFailure })

  return Storage.of({
    kind: "fs",
    open: (name): Effect.Effect<Log, StreamNotFound | StorageError | LogDamaged, Scope.Scope> =>
      Effect.catchTag(open(name), "DiskFailure", (failure) => Effect.fail(failed("open", name)(failure))),
    describe: (name) =>
      Effect.flatMap(ofLog(name, "open", logs.describe(name)), (header) =>
        header?.sound === true
          ? Effect.succeed(header.description)
          : Effect.fail(new LogDamaged({ stream: name, offset: toOffset(0) }))),
    create: (description, first) =>
      Effect.uninterruptible(Effect.catchTag(
        create(description, first),
        "DiskFailure",
        (failure): Effect.Effect<Log, StorageError | StorageFull> => {
          probe.suspect()
          return Effect.fail(toStorageError("make the stream", description.name, failure))
        }
      )),
    list: (wanted) => Effect.mapError(logs.list(wanted), failed("list the streams", undefined)),
    atStart: Effect.succeed(atStart),
    trouble: Effect.map(
      probe.look,
      (failure) => failure === undefined ? undefined : toStorageError("store anything", undefined, failure)
    ),
    hide: (name) =>
      Effect.uninterruptible(
        Effect.andThen(journal.settle(toFileName(name)), ofLog(name, "delete", logs.hide(name)))
      ),
    delete: (name) =>
      Effect.uninterruptible(
        Effect.tap(
          ofLog(name, "delete", logs.remove(name)),
          () => Effect.sync(() => flushOnOpen.noteRemoved(toFileName(name)))
        )
      )
  })
})

/** Fails with `StreamNotFound` if the log's file does not exist. */
const ofLog = <A>(name: StreamName, doing: string, effect: Effect.Effect<A, DiskFailure>) =>
  Effect.mapError(
    effect,
    (failure) => isMissing(failure) ? new StreamNotFound({ stream: name }) : failed(doing, name)(failure)
  )

const failed = (doing: string, name: StreamName | undefined) => (failure: DiskFailure) =>
  toReadError(doing, name, failure)
