/**
 * The events of a stream one by one, as values, for programs that embed it.
 */
import { Effect, Option, Stream } from "effect"
import type { StreamEvent } from "../domain/types.ts"
import { parseEvent } from "../event/event-block.ts"
import type { Cursor, DurableStream, ReadError } from "./durable-stream.ts"

/** The events from the cursor on, as `next` has them, to the end of the stream. */
export const eventsFrom = (start: Cursor, next: DurableStream["next"]): Stream.Stream<StreamEvent, ReadError> =>
  Stream.paginate(start, (at) =>
    Effect.map(next(at), (block) => [
      Array.from({ length: block.count }, (_, i) => parseEvent(block, i)),
      block.count === 0 ? Option.none() : Option.some({ life: at.life, next: block.first + block.count })
    ]))
