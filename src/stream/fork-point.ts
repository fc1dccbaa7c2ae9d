/**
 * Where a stream is forked, and whether it is (docs/protocol.md 10). Offsets are dense, so past an anchor so many JSON
 * messages further is another offset; so many bytes further is inside an event, of which the fork gets the inherited part
 * as an event of its own.
 */
import { Effect } from "effect"
import type { LogDamaged, StorageError } from "../domain/errors.ts"
import { InvalidRequest } from "../domain/errors.ts"
import type { EventBlock, StreamName } from "../domain/types.ts"
import { isJson, toOffset } from "../domain/types.ts"
import { dataSlice } from "../event/event-block.ts"
import { bytesOf, EventData } from "../event/event-data.ts"
import type { Log, Storage, StreamDescription } from "../storage/storage.ts"
import type { ForkPoint } from "./durable-stream.ts"
import { forksOf } from "./stream-state.ts"

type ReadAt = (offset: number, bytesMax: number) => Effect.Effect<EventBlock, StorageError | LogDamaged>

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

/**
 * Whether any fork reads the stream, one of `reserved` (ids of forks that are being made) included. One that was never
 * made, or is gone without having said so, does not count.
 */
export const isForked = Effect.fnUntraced(
  function*(storage: Storage["Service"], { state }: Log, reserved: ReadonlySet<string>) {
    for (const [id, fork] of forksOf(state)) if (reserved.has(id) || (yield* isThere(storage, id, fork))) return true
    return false
  }
)

/** Whether the fork of this id and name is there, or may be. */
export const isThere = (storage: Storage["Service"], id: string, fork: StreamName) =>
  storage.describe(fork).pipe(
    Effect.map((description) => description.id === id),
    Effect.catchTag("StreamNotFound", () => Effect.succeed(false)),
    // Whatever is wrong with it, it may still be read.
    Effect.orElseSucceed(() => true)
  )
