/**
 * What a log's file has when it is opened is brought to the medium before anybody is shown it (promise 2).
 *
 * Its last commit can have been written and never flushed: by a process that was killed before its flush had returned. It
 * is in the kernel's memory then, fits like any other, and a power cut takes it. And behind a flush that failed the file
 * may have what nobody was acknowledged.
 */
import { Effect } from "effect"
import { isFull } from "../disk/disk-errors.ts"
import type { DiskFile } from "../disk/disk.ts"
import { DiskFailure } from "../disk/disk.ts"
import { crcToEnd, writtenCrc } from "../format/record-codec.ts"
import type { Journal } from "../journal/journal.ts"
import type { Recovered } from "../log/find-tail.ts"
import { recover } from "../log/find-tail.ts"
import type { Fence } from "./log-file.ts"

export interface Regaining {
  /** Recovers the log in the file, as `recover` does, with all that it says on the medium: for whoever writes to it. */
  readonly regain: Recovering
  /** The same for whoever only reads, beside one who may write. */
  readonly look: Recovering
  /** Whether there is still something in the file, behind what was recovered, that is not to be trusted. */
  readonly isFenced: (key: string) => boolean
  /** A log is made: what it begins with is on the medium. */
  readonly made: (key: string) => void
  /** Where a log's file is not to be trusted behind, if so. */
  readonly fence: (key: string, fence: Fence | undefined) => void
  readonly gone: (key: string) => void
}

type Recovering = (
  key: string,
  file: DiskFile,
  first: number
) => Effect.Effect<Recovered | "damaged" | "empty", DiskFailure>

export const makeRegaining = (journal: Journal, durable: boolean): Regaining => {
  /** Logs of which this process has flushed the last commit: each is flushed before the next one begins. */
  const vouched = new Set<string>()
  const fences = new Map<string, Fence>()

  const recovering = (cut: typeof cutBehind): Recovering =>
    Effect.fnUntraced(function*(key, file, first) {
      yield* journal.restore(key, file)
      const fence = fences.get(key)
      const isCut = fence === undefined || (yield* cut(key, file, fence))
      // What was not cut is not read.
      const recovered = yield* recover(isCut ? file : { ...file, size: Effect.succeed(fence!.size) }, first)
      if (typeof recovered === "string" || !isCut) return recovered
      const isVouched = !durable || (fence === undefined && vouched.has(key)) || (yield* vouch(file, recovered))
      // Only one that was cut here: a log can be closed, and get its fence, while somebody looks into it.
      if (fence !== undefined) fences.delete(key)
      if (isVouched) vouched.add(key)
      return recovered
    })

  return {
    regain: recovering(cutBehind),
    look: recovering(() => Effect.succeed(false)),
    isFenced: (key) => fences.has(key),
    made: (key) => {
      fences.delete(key)
      vouched.add(key)
    },
    fence: (key, fence) => void (fence === undefined ? fences.delete(key) : fences.set(key, fence)),
    gone: (key) => {
      fences.delete(key)
      vouched.delete(key)
    }
  }
}

/** Cuts what was never acknowledged, where what was still stands before it; false where the file takes no more writes. */
const cutBehind = Effect.fnUntraced(function*(key: string, file: DiskFile, { crc, size }: Fence) {
  const end = Buffer.alloc(crcToEnd)
  const got = yield* file.read(end, crcToEnd, Math.max(0, size - crcToEnd))
  if (got < crcToEnd || writtenCrc(end, crcToEnd) !== crc) {
    return yield* new DiskFailure({ code: "EIO", call: "read back", path: key, cause: undefined })
  }
  return yield* withoutWrites(Effect.as(file.truncate(size), true), false)
})

/** False where the disk does not take it now: who opens the log next tries again. Written again, since a flush that failed before has marked its pages clean: no later one writes them (fsync(2)). */
const vouch = (file: DiskFile, { commitAt, size }: Recovered) =>
  withoutWrites(
    Effect.gen(function*() {
      const bytes = Buffer.allocUnsafe(size - commitAt)
      const got = yield* file.read(bytes, bytes.length, commitAt)
      yield* file.write(bytes.subarray(0, got), commitAt)
      yield* file.flush
      return true
    }),
    false
  )

/** What is on a file system that takes no more writes, or none now, can be read all the same. */
const withoutWrites = <A>(doing: Effect.Effect<A, DiskFailure>, otherwise: A) =>
  Effect.catchIf(doing, ({ code }) => code === "EROFS" || isFull(code), () => Effect.succeed(otherwise))
