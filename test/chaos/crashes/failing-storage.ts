/**
 * A storage on files that kills its process at a named place, so that a crash happens exactly there. It wraps the real
 * disk and the real logs. Only `failing-server.ts` opens it.
 */
import { Effect, Layer } from "effect"
import * as Path from "node:path"
import { filesOf } from "../../../src/data-directory/paths.ts"
import type { MakeStorage } from "../../../src/durable-streams/server/storages.ts"
import type { Disk, DiskFailure, DiskFile } from "../../../src/storage-filesystem/disk/disk.ts"
import { nodeDisk } from "../../../src/storage-filesystem/disk/disk.ts"
import { fromFileName, hiddenSuffix, newSuffix, probeName } from "../../../src/storage-filesystem/format/file-names.ts"
import { layerFileSystem } from "../../../src/storage-filesystem/storage-filesystem.ts"
import type { Log } from "../../../src/storage/storage.ts"
import { Storage } from "../../../src/storage/storage.ts"

/** The places, in the order in which a server reaches them. `journal-` marks the places in the journal's files. */
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
  "before-cut",
  "after-cut",
  "mid-replay",
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

/**
 * Returns a storage that kills the process at a failpoint: `mid-write`, or `mid-write:7` for the seventh time;
 * undefined for any other text.
 */
export const makeFailingStorage = (text: string): MakeStorage | undefined => {
  const { count, name } = /^(?<name>[a-z-]+)(?::(?<count>[1-9]\d*))?$/.exec(text)?.groups ?? {}
  const point = points.find((point) => point === name)
  return point && layerFailing(failpoint(point, Number(count ?? 1)))
}

/** Whether the process must die now, at one of these places. */
type Reached = (...names: ReadonlyArray<Point>) => boolean

const failpoint = (point: Point, count: number): Reached => {
  let left = count
  return (...names) => names.includes(point) && --left === 0
}

const die = Effect.sync(() => void process.kill(process.pid, "SIGKILL"))

const layerFailing = (reached: Reached): MakeStorage => ({ dataDirectory, durability, openFilesMax }) =>
  Layer.effect(
    Storage,
    Effect.map(Storage, (storage) =>
      Storage.of({
        ...storage,
        open: (name) => Effect.map(storage.open(name), (log) => failBeforeAck(log, reached)),
        create: (description, first) =>
          Effect.map(storage.create(description, first), (log) => failBeforeAck(log, reached))
      }))
  ).pipe(Layer.provide(layerFileSystem({
    directory: filesOf(dataDirectory).streams,
    durability,
    openFilesMax,
    disk: failingDisk(nodeDisk, reached)
  })))

const failBeforeAck = (log: Log, reached: Reached): Log => ({
  ...log,
  commit: (commit) => Effect.tap(log.commit(commit), () => reached("before-ack") ? die : Effect.void)
})

const failingDisk = (disk: Disk, reached: Reached): Disk => {
  let isStopping = false
  process.once("SIGTERM", () => isStopping = true)
  /** Files of logs with a commit that only the journal has flushed. */
  const journaled = new Set<string>()
  const written = new Set<string>()

  const dieAt = (...names: ReadonlyArray<Point>) =>
    Effect.suspend(() => reached(...names) || (isStopping && reached("during-shutdown")) ? die : Effect.void)

  const dieAfter = <A>(call: Effect.Effect<A, DiskFailure>, ...names: ReadonlyArray<Point>) =>
    Effect.tap(call, () => dieAt(...names))

  const wrap = (path: string, file: DiskFile): DiskFile => {
    const isJournal = isOfJournal(path)
    /** Writes the first part of the bytes, and dies. */
    const tear = (bytes: Uint8Array, position: number) => Effect.andThen(file.write(bytes, position), die)
    const noteFlush = () => {
      if (!isJournal) return journaled.delete(path)
      for (const log of written) journaled.add(log)
      return written.clear()
    }
    return {
      ...file,
      write: (bytes, position) =>
        Effect.gen(function*() {
          const half = bytes.length >> 1
          // A write within the file comes from replaying the journal.
          if (!isJournal && position + bytes.length <= (yield* file.size)) {
            return yield* reached("mid-replay") ? tear(bytes.subarray(0, half), position) : file.write(bytes, position)
          }
          yield* dieAt(isJournal ? "journal-before-write" : "before-write")
          // A write at the front of a log creates it.
          const mid = isJournal ? "journal-mid-write" : position === 0 ? "mid-create" : "mid-write"
          if (reached(mid)) return yield* tear(bytes.subarray(0, half), position)
          const line = bytes.indexOf(lineFeed) + 1
          const isBatch = !isJournal && position > 0 && line > 0 && line < bytes.length
          if (isBatch && reached("mid-batch")) return yield* tear(bytes.subarray(0, line), position)
          yield* dieAfter(file.write(bytes, position), isJournal ? "journal-after-write" : "after-write")
          if (!isJournal) written.add(path)
        }),
      flush: Effect.suspend(() => {
        const isJournaled = journaled.has(path)
        return dieAfter(
          Effect.tap(file.flush, () => Effect.sync(noteFlush)),
          ...(isJournal
            ? ["journal-after-flush"]
            : isJournaled
            ? ["mid-settle", "after-flush"]
            : ["after-flush"]) as ReadonlyArray<Point>
        )
      }),
      truncate: (size) => Effect.andThen(dieAt("before-cut"), dieAfter(file.truncate(size), "after-cut")),
      close: Effect.andThen(dieAt(), file.close)
    }
  }

  return {
    ...disk,
    makeDirectory: (path) => Effect.andThen(dieAt("after-lock"), disk.makeDirectory(path)),
    open: (path) => Effect.map(disk.open(path), (file) => wrap(path, file)),
    // `/health` writes the probe file, which is no log.
    create: (path) =>
      Path.basename(path) === probeName
        ? disk.create(path)
        : Effect.map(disk.create(path), (file) => wrap(path, file)),
    rename: (from, to) =>
      from.endsWith(newSuffix)
        ? dieAfter(disk.rename(from, to), "after-create-before-dirsync")
        : dieAfter(disk.rename(from, to), ...(to.endsWith(hiddenSuffix) ? ["mid-delete"] as const : [])),
    remove: (path) =>
      dieAfter(
        disk.remove(path),
        ...(isOfJournal(path) ? ["journal-mid-remove"] as const : isLog(path) ? ["mid-delete"] as const : [])
      )
  }
}

const isOfJournal = (path: string): boolean => Path.basename(path).startsWith("journal.")

const isLog = (path: string): boolean => fromFileName(Path.basename(path)) !== undefined

const lineFeed = 0x0a
