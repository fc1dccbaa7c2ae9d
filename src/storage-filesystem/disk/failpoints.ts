/**
 * Places at which the process kills itself, so that a crash can be had just there (docs/trust.md). The one named by
 * `DURABLE_STREAMS_FAILPOINT` is looked up once, at the start, and lies in a disk and a storage of its own around the real
 * ones: where none is named, nothing of this is there.
 */
import { Config, Effect, Layer } from "effect"
import * as Path from "node:path"
import type { StorageError } from "../../domain/errors.ts"
import { StorageFailed } from "../../domain/errors.ts"
import type { Log } from "../../storage/storage.ts"
import { Storage } from "../../storage/storage.ts"
import { fromFileName, hiddenSuffix, newSuffix, probeName } from "../format/file-names.ts"
import type { FileSystemOptions } from "../storage-filesystem.ts"
import { layerFileSystem } from "../storage-filesystem.ts"
import type { Disk, DiskFailure, DiskFile } from "./disk.ts"
import { nodeDisk } from "./disk.ts"

/** In the order in which a server comes by them. Those of the journal's file are the log's with `journal-` before them. */
const points = [
  "after-lock",
  "mid-create",
  "before-write",
  "mid-write",
  "mid-batch",
  "after-write",
  "after-flush",
  "before-ack",
  "after-create-before-dirsync",
  "mid-recovery",
  "after-truncate",
  "mid-restore",
  "journal-before-write",
  "journal-mid-write",
  "journal-after-write",
  "journal-after-flush",
  "journal-mid-remove",
  "mid-settle",
  "mid-delete",
  "during-shutdown"
] as const

type Point = typeof points[number]

/** The storage on files, with the failpoint that the environment names: `mid-write`, or `mid-write:7` for the seventh time. */
export const layerMayFail = (options: FileSystemOptions): Layer.Layer<Storage, StorageError> =>
  Layer.unwrap(Effect.gen(function*() {
    const text = yield* Config.String("FAILPOINT").pipe(
      Config.withDefault(""),
      Config.nested("DURABLE_STREAMS"),
      Effect.orDie
    )
    if (text === "") return layerFileSystem(options)
    const { count, name } = /^(?<name>[a-z-]+)(?::(?<count>[1-9]\d*))?$/.exec(text)?.groups ?? {}
    const point = points.find((point) => point === name)
    if (point === undefined) {
      return yield* new StorageFailed({ message: `DURABLE_STREAMS_FAILPOINT names no failpoint: ${text}.` })
    }
    return layerFailing(options, failpoint(point, Number(count ?? 1)))
  }))

/** Says whether this is the place and the time, where the process is to end. */
type Reached = (...names: ReadonlyArray<Point>) => boolean

const failpoint = (point: Point, count: number): Reached => {
  let left = count
  return (...names) => names.includes(point) && --left === 0
}

const die = Effect.sync(() => void process.kill(process.pid, "SIGKILL"))

const layerFailing = (options: FileSystemOptions, reached: Reached) =>
  Layer.effect(
    Storage,
    Effect.map(Storage, (storage) =>
      Storage.of({
        ...storage,
        open: (name) => Effect.map(storage.open(name), (log) => acknowledging(log, reached)),
        create: (description, first) =>
          Effect.map(storage.create(description, first), (log) => acknowledging(log, reached))
      }))
  ).pipe(Layer.provide(layerFileSystem({ ...options, disk: failingDisk(options.disk ?? nodeDisk, reached) })))

const acknowledging = (log: Log, reached: Reached): Log => ({
  ...log,
  commit: (commit) => Effect.tap(log.commit(commit), () => reached("before-ack") ? die : Effect.void)
})

const failingDisk = (disk: Disk, reached: Reached): Disk => {
  let isStopping = false
  process.once("SIGTERM", () => isStopping = true)
  /** What is in a log's file and only in the journal flushed, by file. */
  const vouched = new Set<string>()
  const written = new Set<string>()

  const dieAt = (...names: ReadonlyArray<Point>) =>
    Effect.suspend(() => reached(...names) || (isStopping && reached("during-shutdown")) ? die : Effect.void)

  const behind = <A>(call: Effect.Effect<A, DiskFailure>, ...names: ReadonlyArray<Point>) =>
    Effect.tap(call, () => dieAt(...names))

  const wrapped = (path: string, file: DiskFile): DiskFile => {
    const isJournal = isOfJournal(path)
    /** Writes the front of it, and is gone. */
    const torn = (bytes: Uint8Array, position: number) => Effect.andThen(file.write(bytes, position), die)
    const flushed = () => {
      if (!isJournal) return vouched.delete(path)
      for (const log of written) vouched.add(log)
      return written.clear()
    }
    return {
      ...file,
      write: (bytes, position) =>
        Effect.gen(function*() {
          const half = bytes.length >> 1
          // What goes over what is there already puts back what the journal has.
          if (!isJournal && position + bytes.length <= (yield* file.size)) {
            return yield* reached("mid-restore") ? torn(bytes.subarray(0, half), position) : file.write(bytes, position)
          }
          yield* dieAt(isJournal ? "journal-before-write" : "before-write")
          // What is written to a log's front is the log as it is made.
          const mid = isJournal ? "journal-mid-write" : position === 0 ? "mid-create" : "mid-write"
          if (reached(mid)) return yield* torn(bytes.subarray(0, half), position)
          const line = bytes.indexOf(lineFeed) + 1
          const isBatch = !isJournal && position > 0 && line > 0 && line < bytes.length
          if (isBatch && reached("mid-batch")) return yield* torn(bytes.subarray(0, line), position)
          yield* behind(file.write(bytes, position), isJournal ? "journal-after-write" : "after-write")
          if (!isJournal) written.add(path)
        }),
      flush: Effect.suspend(() => {
        const isSettling = vouched.has(path)
        return behind(
          Effect.tap(file.flush, () => Effect.sync(flushed)),
          ...(isJournal
            ? ["journal-after-flush"]
            : isSettling
            ? ["mid-settle", "after-flush"]
            : ["after-flush"]) as ReadonlyArray<Point>
        )
      }),
      truncate: (size) => Effect.andThen(dieAt("mid-recovery"), behind(file.truncate(size), "after-truncate")),
      close: Effect.andThen(dieAt(), file.close)
    }
  }

  return {
    ...disk,
    makeDirectory: (path) => Effect.andThen(dieAt("after-lock"), disk.makeDirectory(path)),
    open: (path) => Effect.map(disk.open(path), (file) => wrapped(path, file)),
    // A question of `/health` is no write of a log.
    create: (path) =>
      Path.basename(path) === probeName
        ? disk.create(path)
        : Effect.map(disk.create(path), (file) => wrapped(path, file)),
    rename: (from, to) =>
      from.endsWith(newSuffix)
        ? behind(disk.rename(from, to), "after-create-before-dirsync")
        : behind(disk.rename(from, to), ...(to.endsWith(hiddenSuffix) ? ["mid-delete"] as const : [])),
    remove: (path) =>
      behind(
        disk.remove(path),
        ...(isOfJournal(path) ? ["journal-mid-remove"] as const : isLog(path) ? ["mid-delete"] as const : [])
      )
  }
}

const isOfJournal = (path: string): boolean => Path.basename(path).startsWith("journal.")

const isLog = (path: string): boolean => fromFileName(Path.basename(path)) !== undefined

const lineFeed = 0x0a
