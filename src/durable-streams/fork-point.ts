/**
 * Where a stream is forked (docs/protocol.md 15): offsets are dense, so past an anchor so many JSON messages further is
 * another offset; so many bytes further is inside an event, whose inherited part the fork gets as an event of its own.
 */
import { Effect } from "effect"
import type { ForkPoint } from "./durable-stream.ts"
import type { LogDamaged, StorageFailed } from "./errors.ts"
import { InvalidRequest } from "./errors.ts"
import { dataSlice } from "./event-block.ts"
import { bytesOf, EventData } from "./event-data.ts"
import type { StreamDescription } from "./storage.ts"
import type { EventBlock } from "./types.ts"
import { isJson, toOffset } from "./types.ts"

type ReadAt = (offset: number, bytesMax: number) => Effect.Effect<EventBlock, StorageFailed | LogDamaged>

export const findForkPoint = Effect.fnUntraced(
  function*(source: StreamDescription, tail: number, readAt: ReadAt, offset: number, subOffset: number) {
    if (offset > tail) {
      return yield* new InvalidRequest({
        message: `The fork offset ${toOffset(offset)} is beyond the source's tail, ${toOffset(tail)}.`
      })
    }
    const at = (first: number, bytes: number, data: ReadonlyArray<EventData>): ForkPoint => ({
      source,
      origin: { stream: source.name, id: source.id, offset: first, bytes },
      data
    })
    if (subOffset === 0) return at(offset, 0, [])
    if (isJson(source.contentType) && offset + subOffset <= tail) return at(offset + subOffset, 0, [])
    if (!isJson(source.contentType) && offset < tail) {
      const whole = bytesOf(dataSlice(yield* readAt(offset, 1), 0))
      if (subOffset <= whole.length) return at(offset, subOffset, [EventData.fromBytes(whole.subarray(0, subOffset))])
    }
    return yield* new InvalidRequest({ message: `The fork sub-offset ${subOffset} is beyond what follows the offset.` })
  }
)
