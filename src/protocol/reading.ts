/**
 * What the ways to read a stream have in common: where they begin, and what is told of the place they have come to
 * (docs/protocol.md 8, 12).
 */
import { Effect } from "effect"
import type { Cursor, From, StreamInfo } from "../durable-streams/durable-stream.ts"
import { StreamDeleted } from "../durable-streams/errors.ts"
import { startOf } from "../durable-streams/reading-start.ts"
import type { StreamManager } from "../durable-streams/stream-manager.ts"
import type { HookedStream } from "../durable-streams/with-hooks.ts"
import type { RouteRequest } from "../web/router.ts"
import { addressed } from "./stream-address.ts"

/** A stream that is being read. */
export interface Reading {
  readonly stream: HookedStream
  readonly id: string
  readonly contentType: string
  readonly start: Cursor
  /** Where the stream stood when it began. */
  readonly tail: number
  readonly closed: boolean
  /** Whether the same request always begins at the same place. */
  readonly isFixed: boolean
}

/** Begins where the request asks, or at the tail where that is beyond it. Fails when there is no such stream. */
export const openReading = Effect.fnUntraced(function*(
  manager: StreamManager["Service"],
  request: RouteRequest,
  offset: From | undefined
) {
  const stream = yield* manager.get(yield* addressed(request))
  const { next } = yield* startOf(stream, request.query, offset, "beginning")
  const { closed, description: { contentType, id }, life, tail } = yield* stream.info
  const isFixed = offset !== "now" && !request.query.has("since") && !request.query.has("tail")
  const start = { life, next: Math.min(next, tail) }
  return { stream, id, contentType, start, tail, closed, isFixed } satisfies Reading as Reading
})

/** Whether a reading has come to the tail, and whether that is the end. */
export interface Place {
  readonly isTail: boolean
  readonly isEnd: boolean
}

/** What is to be told of a reading that has come to `next`. Asked after the reading, so that it is never too early. */
export const placeOf = (stream: HookedStream, { life, next }: Cursor) =>
  Effect.flatMap(stream.info, (info: StreamInfo): Effect.Effect<Place, StreamDeleted> => {
    if (info.life !== life) return Effect.fail(new StreamDeleted({ stream: stream.name }))
    const isTail = next >= info.tail
    return Effect.succeed({ isTail, isEnd: isTail && info.closed })
  })
