/**
 * Opens and creates logs on files (docs/storage-format.md 5 and 6), for their writers, and for forks that read them.
 */
import { type Clock, Effect, type Scope } from "effect"
import type { StorageError } from "../../domain/errors.ts"
import { LogDamaged, StreamNotFound } from "../../domain/errors.ts"
import type { StreamName } from "../../domain/types.ts"
import { toOffset } from "../../domain/types.ts"
import type { Commit, ForkOrigin, Log, StreamDescription } from "../../storage/storage.ts"
import { applyState } from "../../storage/storage.ts"
import { tryEncode } from "../disk/disk-errors.ts"
import type { Disk, DiskFailure, DiskFile } from "../disk/disk.ts"
import { isMissing } from "../disk/disk.ts"
import type { OpenFiles } from "../disk/open-files.ts"
import { newSuffix, toFileName } from "../format/file-names.ts"
import { encodeNewLog } from "../format/record-codec.ts"
import type { Flusher } from "../journal/flusher.ts"
import type { Journal } from "../journal/journal.ts"
import type { LogEnd } from "../log/find-tail.ts"
import { makeForkReader } from "../log/fork-reader.ts"
import type { ForkSource } from "../log/fork-sources.ts"
import { makeForkSources } from "../log/fork-sources.ts"
import type { FoundFile, LogDirectory } from "../log/log-directory.ts"
import { readHeader } from "../log/log-header.ts"
import { makeLogReader } from "../log/log-reader.ts"
import { readState } from "../log/state-reader.ts"
import type { FlushOnOpen } from "./flush-on-open.ts"
import { makeLog } from "./log-file.ts"

export interface LogOpenerOptions {
  readonly disk: Disk
  readonly clock: Clock.Clock
  readonly files: OpenFiles
  readonly logs: LogDirectory
  readonly journal: Journal
  readonly flushOnOpen: FlushOnOpen
  /** Undefined if commits are durable as soon as the kernel has them. */
  readonly flusher: Flusher | undefined
  /** Called when a commit fails. */
  readonly onFailure: () => void
}

export interface LogOpener {
  /** Opens an existing log, hidden or not. Closes with the scope. */
  readonly open: (name: StreamName) => Effect.Effect<Log, DiskFailure | StreamNotFound | LogDamaged, Scope.Scope>
  /** Creates a log with its first commit. Closes with the scope. */
  readonly create: (
    description: StreamDescription,
    first: Commit
  ) => Effect.Effect<Log, DiskFailure | StorageError, Scope.Scope>
}

/** A log's file, once its end was read. */
interface ReadLog extends FoundFile {
  readonly description: StreamDescription
  readonly logEnd: LogEnd
  readonly state: Map<string, string> | undefined
  readonly touchedAt: number
}

export const makeLogOpener = (options: LogOpenerOptions): LogOpener => {
  const { clock, disk, files, flushOnOpen, flusher, journal, logs, onFailure } = options

  const open = Effect.fnUntraced(function*(name: StreamName) {
    const found = yield* Effect.catchIf(
      logs.open(name),
      isMissing,
      () => Effect.fail(new StreamNotFound({ stream: name }))
    )
    return yield* Effect.flatMap(readLog(options, name, found), toLog).pipe(Effect.onError(() => found.file.close))
  }, Effect.uninterruptible)

  const toLog = Effect.fnUntraced(function*(opened: ReadLog) {
    const { description, hidden, logEnd, path, state, touchedAt } = opened
    const { forkedFrom, name } = description
    const key = toFileName(name)
    const file = yield* files.file(path, opened.file)
    const inherited = makeForkReader(name, forkedFrom, sources)
    const { fence, log } = makeLog({
      isFenced: flushOnOpen.isFenced(key),
      onRestored: () => flushOnOpen.setFence(key, undefined),
      file,
      description,
      hidden,
      logEnd,
      state,
      flusher,
      journal,
      clock,
      touchedAt,
      touch: (at) => logs.setUsedAt(name, at),
      readInherited: inherited.read,
      onFailure
    })
    yield* Effect.addFinalizer(() =>
      journal.settle(key).pipe(
        Effect.andThen(Effect.sync(() => flushOnOpen.setFence(key, fence()))),
        Effect.andThen(file.close),
        Effect.andThen(inherited.close)
      )
    )
    return log
  })

  const create = Effect.fnUntraced(function*(description: StreamDescription, first: Commit) {
    const { expiresAt, forkedFrom, name, ttlSeconds } = description
    const path = logs.pathOf(name)
    const log = yield* tryEncode("make the stream", name, () => encodeNewLog(description, first))
    if (expiresAt !== undefined || ttlSeconds !== undefined) yield* logs.markExpiring(name)
    const file = yield* disk.create(path + newSuffix)
    yield* Effect.gen(function*() {
      yield* file.write(log.bytes, 0)
      if (flusher !== undefined) yield* file.flush
      yield* logs.publish(name)
    }).pipe(Effect.onError(() => Effect.andThen(file.close, Effect.ignore(disk.remove(path + newSuffix)))))
    flushOnOpen.noteCreated(toFileName(name))
    const logEnd: LogEnd = {
      commitAt: 0,
      size: log.bytes.length,
      crc: log.crc,
      tail: (forkedFrom?.offset ?? 0) + first.events.count,
      stateFrom: log.stateFrom,
      torn: 0,
      damaged: false
    }
    const state = new Map<string, string>()
    applyState(state, first.state)
    return yield* toLog({ description, path, file, hidden: false, logEnd, state, touchedAt: 0 })
  })

  const sources = makeForkSources((origin) => openSource(options, origin))

  return { open, create }
}

/** Reads a log's header, end and state, and cuts a torn commit off its end. */
const readLog = Effect.fnUntraced(function*(
  { flushOnOpen, logs }: LogOpenerOptions,
  name: StreamName,
  found: FoundFile
): Effect.fn.Return<ReadLog, DiskFailure | StreamNotFound | LogDamaged> {
  const { file, path } = found
  const header = yield* readHeader(file)
  const first = header?.description.forkedFrom?.offset ?? 0
  const logEnd = yield* flushOnOpen.tailForWriter(toFileName(name), file, first)
  if (logEnd === "empty") return yield* new StreamNotFound({ stream: name })
  if (logEnd === "damaged" || header?.sound !== true || header.description.name !== name) {
    yield* logDamage("A log is damaged from its start; it is left as it is", name, path, first)
    return yield* new LogDamaged({ stream: name, offset: toOffset(first) })
  }
  if (logEnd.damaged) yield* logDamage("A log is damaged before its tail; it is left as it is", name, path)
  const state = yield* readState(file, logEnd)
  if (state === undefined) yield* logDamage("What a log says of its stream's state is damaged", name, path)
  if (logEnd.torn > 0) yield* cutTorn(file, logEnd, name, path)
  const { description } = header
  const touchedAt = description.ttlSeconds === undefined ? 0 : yield* logs.usedAt(name)
  return { ...found, description, logEnd, state, touchedAt }
})

const cutTorn = Effect.fnUntraced(function*(file: DiskFile, logEnd: LogEnd, name: StreamName, path: string) {
  yield* file.truncate(logEnd.size)
  yield* file.flush
  yield* Effect.logWarning("A torn commit was cut from the end of a log").pipe(
    Effect.annotateLogs({ stream: name, path, bytes: logEnd.torn, offset: toOffset(logEnd.tail) })
  )
})

/** Opens the source of a fork for reading; undefined if the stream of that name is not the one that was forked. */
const openSource = Effect.fnUntraced(function*(
  { files, flushOnOpen, logs }: LogOpenerOptions,
  origin: ForkOrigin
): Effect.fn.Return<ForkSource | undefined, DiskFailure> {
  const { file: opened, path } = yield* logs.find(toFileName(origin.stream))
  return yield* Effect.gen(function*() {
    const header = yield* readHeader(opened)
    const first = header?.description.forkedFrom?.offset ?? 0
    const logEnd = yield* flushOnOpen.tailForReader(toFileName(origin.stream), opened, first)
    if (header?.sound !== true || header.description.id !== origin.id || typeof logEnd === "string") {
      yield* opened.close
      return undefined
    }
    const file = yield* files.file(path, opened)
    const end = { offset: logEnd.tail, position: logEnd.size }
    return {
      reader: makeLogReader(file, origin.stream, first, () => end),
      first,
      tail: logEnd.tail,
      forkedFrom: header.description.forkedFrom,
      close: file.close
    }
  }).pipe(Effect.onError(() => opened.close))
}, Effect.uninterruptible)

const logDamage = (message: string, stream: StreamName, path: string, offset?: number) =>
  Effect.annotateLogs(Effect.logError(message), {
    stream,
    path,
    ...(offset === undefined ? {} : { offset: toOffset(offset) })
  })
