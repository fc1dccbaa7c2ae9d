/**
 * A storage on files that kills its process at a named place, so that a crash happens exactly there. Its disk and its logs
 * lie around the real ones; only `failing-server.ts` opens it.
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

/** In the order in which a server reaches them. `journal-` marks the places in the journal's files. */
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

/** A storage that dies at a failpoint: `mid-write`, or `mid-write:7` for the seventh time. Undefined for any other text. */
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
        open: (name) => Effect.map(storage.open(name), (log) => acknowledging(log, reached)),
        create: (description, first) =>
          Effect.map(storage.create(description, first), (log) => acknowledging(log, reached))
      }))
  ).pipe(Layer.provide(layerFileSystem({
    directory: filesOf(dataDirectory).streams,
    durability,
    openFilesMax,
    disk: failingDisk(nodeDisk, reached)
  })))

const acknowledging = (log: Log, reached: Reached): Log => ({
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

  const behind = <A>(call: Effect.Effect<A, DiskFailure>, ...names: ReadonlyArray<Point>) =>
    Effect.tap(call, () => dieAt(...names))

  const wrapped = (path: string, file: DiskFile): DiskFile => {
    const isJournal = isOfJournal(path)
    /** Writes the first part, and dies. */
    const torn = (bytes: Uint8Array, position: number) => Effect.andThen(file.write(bytes, position), die)
    const flushed = () => {
      if (!isJournal) return journaled.delete(path)
      for (const log of written) journaled.add(log)
      return written.clear()
    }
    return {
      ...file,
      write: (bytes, position) =>
        Effect.gen(function*() {
          const half = bytes.length >> 1
          // A write within the file is the journal being replayed.
          if (!isJournal && position + bytes.length <= (yield* file.size)) {
            return yield* reached("mid-replay") ? torn(bytes.subarray(0, half), position) : file.write(bytes, position)
          }
          yield* dieAt(isJournal ? "journal-before-write" : "before-write")
          // A write at the front of a log creates it.
          const mid = isJournal ? "journal-mid-write" : position === 0 ? "mid-create" : "mid-write"
          if (reached(mid)) return yield* torn(bytes.subarray(0, half), position)
          const line = bytes.indexOf(lineFeed) + 1
          const isBatch = !isJournal && position > 0 && line > 0 && line < bytes.length
          if (isBatch && reached("mid-batch")) return yield* torn(bytes.subarray(0, line), position)
          yield* behind(file.write(bytes, position), isJournal ? "journal-after-write" : "after-write")
          if (!isJournal) written.add(path)
        }),
      flush: Effect.suspend(() => {
        const isJournaled = journaled.has(path)
        return behind(
          Effect.tap(file.flush, () => Effect.sync(flushed)),
          ...(isJournal
            ? ["journal-after-flush"]
            : isJournaled
            ? ["mid-settle", "after-flush"]
            : ["after-flush"]) as ReadonlyArray<Point>
        )
      }),
      truncate: (size) => Effect.andThen(dieAt("before-cut"), behind(file.truncate(size), "after-cut")),
      close: Effect.andThen(dieAt(), file.close)
    }
  }

  return {
    ...disk,
    makeDirectory: (path) => Effect.andThen(dieAt("after-lock"), disk.makeDirectory(path)),
    open: (path) => Effect.map(disk.open(path), (file) => wrapped(path, file)),
    // `/health` writes the probe, which is no log.
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
