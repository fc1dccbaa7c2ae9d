/**
 * `GET /streams/:name/events` (docs/protocol.md 4): answers with the events that exist when the request comes, as JSON or as
 * one event a line.
 */
import { Effect } from "effect"
import { prefers } from "../http/accept.ts"
import type { Answer } from "../http/exchange.ts"
import type { RouteRequest } from "../http/router.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import { placeHeaders } from "../stream-http/append-headers.ts"
import { joinEvents } from "../stream-http/joined-events.ts"
import type { RenderPiece } from "../stream-http/range.ts"
import { range, streamRange } from "../stream-http/range.ts"
import { lifeHeader, lifeOf, openAt } from "../stream-http/reading-start.ts"
import { countParameter, offsetParameter, streamName } from "../stream-http/request-parameters.ts"

export const readEvents = (manager: StreamManager["Service"]) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    const stream = yield* manager.get(yield* streamName(request.parameter))
    const limit = yield* countParameter(request.query, "limit")
    const life = yield* lifeOf(request)
    const { description, start, tail } = yield* openAt(stream, {
      query: request.query,
      offset: yield* offsetParameter(request.query),
      otherwise: "beginning",
      isLife: (id) => life === undefined || id === life,
      mustExist: true
    })
    const { contentType, render } = prefers(request.header("accept"), "application/x-ndjson", "application/json")
      ? lines
      : items
    const end = Math.min(tail, start.next + (limit ?? Infinity))
    const headers = { "content-type": contentType, ...placeHeaders(end, false), ...lifeHeader(description) }
    const body = yield* range(streamRange(stream, start, end), render, pieceBytes)
    return { status: 200, headers, body } satisfies Answer as Answer
  })

/** Each read ends a piece: an answer whose events all come from one read is not cut. */
const pieceBytes = 1

interface Shape {
  readonly contentType: string
  readonly render: RenderPiece
}

/** `{"events":[…]}`. */
const items: Shape = {
  contentType: "application/json",
  render: (blocks, { fill, isFirst, isLast }) =>
    joinEvents(blocks, { before: isFirst ? `{"events":[` : ",", between: ",", after: isLast ? "]}" : "" }, fill)
}

/** One event a line. */
const lines: Shape = {
  contentType: "application/x-ndjson; charset=utf-8",
  render: (blocks, { fill }) =>
    joinEvents(blocks, { before: "", between: "\n", after: blocks.length === 0 ? "" : "\n" }, fill)
}
