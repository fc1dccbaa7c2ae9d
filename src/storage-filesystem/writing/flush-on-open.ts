/**
 * When a process first opens a log, it flushes the log's last commit before it serves the log (promise 2).
 *
 * A process that was killed before its flush returned leaves a commit that is whole in the kernel's memory, and a power cut
 * would still take it. And after a failed flush, the file may hold bytes that were never acknowledged: they are behind the
 * log's fence, and are cut.
 */
import { Effect } from "effect"
import { isFull } from "../disk/disk-errors.ts"
import type { DiskFile } from "../disk/disk.ts"
import { DiskFailure } from "../disk/disk.ts"
import { crcToEnd, writtenCrc } from "../format/record-codec.ts"
import type { Journal } from "../journal/journal.ts"
import type { LogEnd } from "../log/find-tail.ts"
import { findTail } from "../log/find-tail.ts"

/** Where the last acknowledged commit of a log ends, if its file may hold something else behind that. */
export interface Fence {
  readonly size: number
  readonly crc: number
}

export interface FlushOnOpen {
  /** Finds the log's tail for its writer: replays the journal, cuts the file at the fence, flushes the last commit. */
  readonly tailForWriter: FindTail
  /** The same for a reader beside a writer: cuts nothing, and reads nothing behind the fence. */
  readonly tailForReader: FindTail
  /** Whether the log has a fence: its file holds something that must not be read. */
  readonly isFenced: (key: string) => boolean
  readonly setFence: (key: string, fence: Fence | undefined) => void
  /** The log was created, and its first commit is on the medium. */
  readonly noteCreated: (key: string) => void
  readonly noteRemoved: (key: string) => void
}

type FindTail = (
  key: string,
  file: DiskFile,
  first: number
) => Effect.Effect<LogEnd | "damaged" | "empty", DiskFailure>

export const makeFlushOnOpen = (journal: Journal, durable: boolean): FlushOnOpen => {
  /** Logs of which this process has flushed the last commit: each commit is flushed before the next one begins. */
  const flushed = new Set<string>()
  const fences = new Map<string, Fence>()

  const findTailAfter = (cut: typeof cutBehind): FindTail =>
    Effect.fnUntraced(function*(key, file, first) {
      yield* journal.replay(key, file)
      const fence = fences.get(key)
      const isCut = fence === undefined || (yield* cut(key, file, fence))
      // Bytes that are not cut are not read.
      const logEnd = yield* findTail(isCut ? file : { ...file, size: Effect.succeed(fence!.size) }, first)
      if (typeof logEnd === "string" || !isCut) return logEnd
      const isFlushed = !durable || (fence === undefined && flushed.has(key)) || (yield* flushLast(file, logEnd))
      // Only the fence that was cut at: reading a log while it closes keeps the fence that the closing sets.
      if (fence !== undefined) fences.delete(key)
      if (isFlushed) flushed.add(key)
      return logEnd
    })

  return {
    tailForWriter: findTailAfter(cutBehind),
    tailForReader: findTailAfter(() => Effect.succeed(false)),
    isFenced: (key) => fences.has(key),
    setFence: (key, fence) => void (fence === undefined ? fences.delete(key) : fences.set(key, fence)),
    noteCreated: (key) => {
      fences.delete(key)
      flushed.add(key)
    },
    noteRemoved: (key) => {
      fences.delete(key)
      flushed.delete(key)
    }
  }
}

/**
 * Cuts the file at the fence; false if the file takes no writes. Fails if the acknowledged commit does not end at the
 * fence any more.
 */
const cutBehind = Effect.fnUntraced(function*(key: string, file: DiskFile, { crc, size }: Fence) {
  const end = Buffer.alloc(crcToEnd)
  const got = yield* file.read(end, crcToEnd, Math.max(0, size - crcToEnd))
  if (got < crcToEnd || writtenCrc(end, crcToEnd) !== crc) {
    return yield* new DiskFailure({ code: "EIO", call: "read back", path: key, cause: undefined })
  }
  return yield* unlessWritesFail(Effect.as(file.truncate(size), true), false)
})

/**
 * Writes the last commit again and flushes it; false if the disk takes no writes now, and then the next opening tries again.
 * Only a new write marks the pages for the flush: an earlier flush that failed has marked them clean (fsync(2)).
 */
const flushLast = (file: DiskFile, { commitAt, size }: LogEnd) =>
  unlessWritesFail(
    Effect.gen(function*() {
      const bytes = Buffer.allocUnsafe(size - commitAt)
      const got = yield* file.read(bytes, bytes.length, commitAt)
      yield* file.write(bytes.subarray(0, got), commitAt)
      yield* file.flush
      return true
    }),
    false
  )

/** A log on a file system that takes no writes, or has no room, can still be read. */
const unlessWritesFail = <A>(writing: Effect.Effect<A, DiskFailure>, otherwise: A) =>
  Effect.catchIf(writing, ({ code }) => code === "EROFS" || isFull(code), () => Effect.succeed(otherwise))
