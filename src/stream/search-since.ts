/**
 * Finds the first event of a stream that was created at a time or later, by halving. `createdAt` is the time of the
 * server's clock: if the clock was set back, several answers are right, and this is one of them (docs/protocol.md 4).
 */
import { DateTime, Effect } from "effect"
import type { EventBlock } from "../domain/types.ts"
import { createdAtTail } from "../domain/types.ts"
import { consumeBlock } from "../event/event-block.ts"

type ReadAt<E> = (offset: number, bytesMax: number) => Effect.Effect<EventBlock, E>

/** The offset of that event among those before `tail`; `tail` when there is none. `time` in milliseconds since 1970. */
export const searchSince = Effect.fnUntraced(function*<E>(read: ReadAt<E>, tail: number, time: number) {
  let low = 0
  let high = tail
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const block = yield* read(middle, 1)
    // The stream was deleted meanwhile: the reader of any offset is told so.
    if (block.count === 0) return low
    // A read returns the whole commit, which may be large: all of it is compared while it is in memory.
    const before = consumeBlock(block, (block) => countBefore(block, time))
    if (before === 0) high = middle
    else if (before === block.count) low = Math.min(middle + before, high)
    else return middle + before
  }
  return low
})

/** How many of the block's events, which are in order, were created before `time`; by halving. */
const countBefore = ({ bytes, count, ends }: EventBlock, time: number): number => {
  // Most often it is none or all of them.
  if (createdAt(bytes, ends[0]!) >= time) return 0
  if (createdAt(bytes, ends[count - 1]!) < time) return count
  let low = 1
  let high = count - 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (createdAt(bytes, ends[middle]!) < time) low = middle + 1
    else high = middle
  }
  return low
}

/** The creation time of the event that ends at `end`, found by its place. */
const createdAt = (bytes: Uint8Array, end: number): number => {
  const start = end - createdAtTail.length + `,"createdAt":"`.length
  return DateTime.toEpochMillis(DateTime.makeUnsafe(decoder.decode(bytes.subarray(start, end - `"}`.length))))
}

const decoder = new TextDecoder()
