/**
 * The storage contract on a directory of files (docs/storage-format.md). The caller holds the directory's lock.
 */
import { Clock, Effect, Layer, type Scope } from "effect"
import * as Path from "node:path"
import type { StorageError, StorageFull } from "../domain/errors.ts"
import { LogDamaged, StreamNotFound } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import { toOffset } from "../domain/types.ts"
import type { ForkOrigin, Log, StreamDescription } from "../storage/storage.ts"
import { Storage } from "../storage/storage.ts"
import { encoded, toReadError, toStorageError } from "./disk/disk-errors.ts"
import type { Disk, DiskFailure, DiskFile } from "./disk/disk.ts"
import { isMissing, nodeDisk } from "./disk/disk.ts"
import { makeOpenFiles } from "./disk/open-files.ts"
import { makeProbe } from "./disk/probe.ts"
import { newSuffix, toFileName } from "./format/file-names.ts"
import { encodeNewLog } from "./format/record-codec.ts"
import { makeFlusher } from "./journal/flusher.ts"
import { makeJournal } from "./journal/journal.ts"
import type { Recovered } from "./log/find-tail.ts"
import { makeInherited } from "./log/fork-reader.ts"
import type { Source } from "./log/fork-sources.ts"
import { makeSources } from "./log/fork-sources.ts"
import type { FoundFile } from "./log/log-directory.ts"
import { makeLogDirectory } from "./log/log-directory.ts"
import { readHeader } from "./log/log-header.ts"
import { makeLogReader } from "./log/log-reader.ts"
import { replayState } from "./log/state-replay.ts"
import { makeRegaining } from "./writing/flush-on-open.ts"
import { makeLog } from "./writing/log-file.ts"

type Durability = "fsync" | "os"

export interface FileSystemOptions {
  /** The directory of the logs. It is made when it is not there. */
  readonly directory: string
  readonly durability: Durability
  /** Files open at once at the most; further streams take turns. */
  readonly openFilesMax?: number
  /** Bytes of each of the journal's two areas, which are kept beside the directory. */
  readonly journalBytesMax?: number
  /** The disk, when it is not the real one. */
  readonly disk?: Disk
}

/** Leaves half of the usual hard limit (1,024) to sockets. */
const openFilesMaxDefault = 512

export const layerFileSystem = (options: FileSystemOptions): Layer.Layer<Storage, StorageError> =>
  Layer.effect(Storage, make(options))

const make = Effect.fnUntraced(function*(options: FileSystemOptions) {
  const { directory, disk = nodeDisk, durability, openFilesMax = openFilesMaxDefault } = options
  const clock = yield* Clock.Clock
  const files = makeOpenFiles(disk, openFilesMax)
  const logs = makeLogDirectory(disk, directory, durability === "fsync", clock)

  const atStart = yield* Effect.mapError(logs.prepare, failed("use the data directory", undefined))
  const journal = yield* Effect.mapError(
    makeJournal(disk, Path.dirname(directory), logs.find, options.journalBytesMax),
    failed("read the journal", undefined)
  )
  const flusher = durability === "fsync" ? yield* makeFlusher(journal) : undefined
  const regaining = makeRegaining(journal, durability === "fsync")
  const probe = yield* makeProbe(logs.touching, directory, durability === "fsync", clock)

  const open = Effect.fnUntraced(function*(name: StreamName) {
    const found = yield* Effect.catchIf(
      logs.open(name),
      isMissing,
      () => Effect.fail(new StreamNotFound({ stream: name }))
    )
    return yield* opened(name, found).pipe(Effect.onError(() => found.file.close))
  }, Effect.uninterruptible)

  const opened = Effect.fnUntraced(function*(name: StreamName, { file, hidden, path }: FoundFile) {
    const header = yield* readHeader(file)
    const first = header?.description.forkedFrom?.offset ?? 0
    const recovered = yield* regaining.regain(toFileName(name), file, first)
    if (recovered === "empty") return yield* new StreamNotFound({ stream: name })
    if (recovered === "damaged" || header?.sound !== true || header.description.name !== name) {
      yield* logDamage("A log is damaged from its start; it is left as it is", name, path, first)
      return yield* new LogDamaged({ stream: name, offset: toOffset(first) })
    }
    if (recovered.damaged) yield* logDamage("A log is damaged before its tail; it is left as it is", name, path)
    const state = yield* replayState(file, recovered)
    if (state === undefined) yield* logDamage("What a log says of its stream's state is damaged", name, path)
    if (recovered.torn > 0) yield* cut(file, recovered, name, path)
    const usedAt = header.description.ttlSeconds === undefined ? 0 : yield* logs.usedAt(name)
    return yield* toLog(header.description, { path, file, hidden }, recovered, state, usedAt)
  })

  const cut = Effect.fnUntraced(function*(file: DiskFile, recovered: Recovered, name: StreamName, path: string) {
    yield* file.truncate(recovered.size)
    yield* file.flush
    yield* Effect.logWarning("A torn commit was cut from the end of a log").pipe(
      Effect.annotateLogs({ stream: name, path, bytes: recovered.torn, offset: toOffset(recovered.tail) })
    )
  })

  const toLog = Effect.fnUntraced(function*(
    description: StreamDescription,
    { file: opened, hidden, path }: FoundFile,
    recovered: Recovered,
    state: Map<string, string> | undefined,
    touchedAt: number
  ) {
    const { forkedFrom, name } = description
    const file = yield* files.file(path, opened)
    const inherited = makeInherited(name, forkedFrom, sources)
    const touch = (at: number) => logs.setUsedAt(name, at)
    const { read } = inherited
    const { fence, log } = makeLog({
      fenced: regaining.isFenced(toFileName(name)),
      mended: () => regaining.fence(toFileName(name), undefined),
      file,
      description,
      hidden,
      recovered,
      state,
      flusher,
      journal,
      clock,
      touchedAt,
      touch,
      inherited: read,
      suspect: probe.suspect
    })
    yield* Effect.addFinalizer(() =>
      journal.settle(toFileName(name)).pipe(
        Effect.andThen(Effect.sync(() => regaining.fence(toFileName(name), fence()))),
        Effect.andThen(file.close),
        Effect.andThen(inherited.close)
      )
    )
    return log
  })

  const openSource = Effect.fnUntraced(function*(origin: ForkOrigin) {
    const { file: opened, path } = yield* logs.find(toFileName(origin.stream))
    return yield* Effect.gen(function*() {
      const header = yield* readHeader(opened)
      const first = header?.description.forkedFrom?.offset ?? 0
      const recovered = yield* regaining.look(toFileName(origin.stream), opened, first)
      if (header?.sound !== true || header.description.id !== origin.id || typeof recovered === "string") {
        yield* opened.close
        return undefined
      }
      const file = yield* files.file(path, opened)
      const end = { offset: recovered.tail, position: recovered.size }
      return {
        reader: makeLogReader(file, origin.stream, first, () => end),
        first,
        tail: recovered.tail,
        forkedFrom: header.description.forkedFrom,
        close: file.close
      } satisfies Source
    }).pipe(Effect.onError(() => opened.close))
  }, Effect.uninterruptible)
  const sources = makeSources(openSource)

  const create = Effect.fnUntraced(function*(description: StreamDescription, first: Parameters<Log["commit"]>[0]) {
    const { expiresAt, forkedFrom, name, ttlSeconds } = description
    const path = logs.pathOf(name)
    const log = yield* encoded("make the stream", name, () => encodeNewLog(description, first))
    if (expiresAt !== undefined || ttlSeconds !== undefined) yield* logs.markExpiring(name)
    const file = yield* disk.create(path + newSuffix)
    yield* Effect.gen(function*() {
      yield* file.write(log.bytes, 0)
      if (durability === "fsync") yield* file.flush
      yield* logs.publish(name)
    }).pipe(Effect.onError(() => Effect.andThen(file.close, Effect.ignore(disk.remove(path + newSuffix)))))
    regaining.made(toFileName(name))
    const recovered: Recovered = {
      commitAt: 0,
      size: log.bytes.length,
      crc: log.crc,
      tail: (forkedFrom?.offset ?? 0) + first.events.count,
      stateFrom: log.stateFrom,
      torn: 0,
      damaged: false
    }
    const state = new Map<string, string>()
    for (const [key, value] of first.state) if (value !== undefined) state.set(key, value)
    return yield* toLog(description, { path, file, hidden: false }, recovered, state, 0)
  })

  /** Fails with StreamNotFound where the log's file is not there. */
  const ofLog = <A>(name: StreamName, doing: string, effect: Effect.Effect<A, DiskFailure>) =>
    Effect.mapError(
      effect,
      (failure) => isMissing(failure) ? new StreamNotFound({ stream: name }) : failed(doing, name)(failure)
    )

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
        Effect.tap(ofLog(name, "delete", logs.remove(name)), () => Effect.sync(() => regaining.gone(toFileName(name))))
      )
  })
})

const logDamage = (message: string, stream: StreamName, path: string, offset?: number) =>
  Effect.annotateLogs(Effect.logError(message), {
    stream,
    path,
    ...(offset === undefined ? {} : { offset: toOffset(offset) })
  })

const failed = (doing: string, name: StreamName | undefined) => (failure: DiskFailure) =>
  toReadError(doing, name, failure)
