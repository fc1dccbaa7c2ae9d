/**
 * Finds the first event of a stream that was created at a time or later, by halving. `createdAt` is what the clock said,
 * so where the clock was set back the answer is one of the right ones (docs/protocol.md 4).
 */
import { DateTime, Effect } from "effect"
import type { LogDamaged, StorageError } from "./errors.ts"
import type { EventBlock } from "./types.ts"
import { createdAtTail } from "./types.ts"

type ReadAt = (offset: number, bytesMax: number) => Effect.Effect<EventBlock, StorageError | LogDamaged>

/** The offset of that event among those before `tail`; `tail` when there is none. `time` in milliseconds since 1970. */
export const searchSince = Effect.fnUntraced(function*(read: ReadAt, tail: number, time: number) {
  let low = 0
  let high = tail
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const block = yield* read(middle, 1)
    const end = block.ends[0]
    // The stream was deleted meanwhile: whatever offset this is, its reader will be told.
    if (end === undefined) return low
    if (createdAt(block.bytes, end) < time) low = middle + 1
    else high = middle
  }
  return low
})

/** The creation time of the event that ends at `end`, found by its place. */
const createdAt = (bytes: Uint8Array, end: number): number => {
  const start = end - createdAtTail.length + `,"createdAt":"`.length
  return DateTime.toEpochMillis(DateTime.makeUnsafe(decoder.decode(bytes.subarray(start, end - `"}`.length))))
}

const decoder = new TextDecoder()
