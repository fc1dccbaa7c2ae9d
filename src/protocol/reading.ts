/**
 * The common part of all ways to read a stream: where a reading begins, and how it stands to the tail (docs/protocol.md 8,
 * 12).
 */
import { Effect } from "effect"
import { StreamDeleted, StreamNotFound } from "../domain/errors.ts"
import type { RouteRequest } from "../http/router.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import type { StreamDescription } from "../storage/storage.ts"
import { lifeOf, openAt } from "../stream-http/reading-start.ts"
import type { Cursor, DurableStream, From, StreamInfo } from "../stream/durable-stream.ts"
import { isOfLife } from "./cursor.ts"
import { addressedStream } from "./stream-address.ts"

/** A stream that a client reads. */
export interface Reading {
  readonly stream: DurableStream<unknown>
  readonly description: StreamDescription
  readonly start: Cursor
  /** The tail of the stream when the reading began. */
  readonly tail: number
  readonly closed: boolean
  /** Whether the same request always begins at the same place. */
  readonly isFixed: boolean
}

/**
 * Returns a reading that begins at the request's place. Fails when the stream does not exist, for an offset beyond the tail,
 * and for an offset of another life, which the request names by itself or by its cursor.
 */
export const openReading = Effect.fnUntraced(function*(
  manager: StreamManager["Service"],
  request: RouteRequest,
  offset: From | undefined
) {
  const stream = yield* manager.get(yield* addressedStream(request))
  const life = yield* lifeOf(request)
  const cursor = request.query.get("cursor") ?? undefined
  const { closed, description, start, tail } = yield* openAt(stream, {
    query: request.query,
    offset,
    otherwise: "beginning",
    isLife: (id) => (life === undefined || id === life) && isOfLife(cursor, id),
    mustExist: true
  })
  if (description === undefined) return yield* new StreamNotFound({ stream: stream.name })
  const isFixed = offset !== "now" && !request.query.has("since") && !request.query.has("tail")
  return { stream, description, start, tail, closed, isFixed } satisfies Reading as Reading
})

/** Whether a reading has come to the tail, and whether the stream ends there. */
export interface Place {
  readonly isTail: boolean
  readonly isEnd: boolean
}

/**
 * Returns the place of a reading that has come to `next`; fails when that life of the stream is over. The caller asks after
 * it has read, so that the place is never older than the events.
 */
export const placeOf = (stream: DurableStream<unknown>, { life, next }: Cursor) =>
  stream.info.pipe(
    Effect.catchTag(["StreamNotFound", "StreamGone"], () => Effect.undefined),
    Effect.flatMap((info: StreamInfo | undefined): Effect.Effect<Place, StreamDeleted> => {
      if (info?.life !== life) return Effect.fail(new StreamDeleted({ stream: stream.name }))
      const isTail = next >= info.tail
      return Effect.succeed({ isTail, isEnd: isTail && info.closed })
    })
  )
