/**
 * `GET` without following: the events that exist, or, with `live=long-poll`, the next ones (docs/protocol.md 12, 13).
 */
import { Effect } from "effect"
import { PreconditionFailed, StreamDeleted } from "../domain/errors.ts"
import { toOffset } from "../domain/types.ts"
import type { Answer } from "../http/exchange.ts"
import type { RouteRequest } from "../http/router.ts"
import type { Followers } from "../manager/followers.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import { placeHeaders } from "../stream-http/append-headers.ts"
import { StreamFollowing, waitForEvents } from "../stream-http/following.ts"
import { lifeHeader } from "../stream-http/reading-start.ts"
import { countParameter } from "../stream-http/request-parameters.ts"
import type { From } from "../stream/durable-stream.ts"
import { nextCursor } from "./cursor.ts"
import { etagOf, namesTag, wantsOtherTag } from "./etag.ts"
import { emptyBody, rangeBody } from "./range-body.ts"
import type { Reading } from "./reading.ts"
import { openReading } from "./reading.ts"
import { addressedStream, offsetOf } from "./stream-address.ts"

/** Answers with the events that exist from the offset on. */
export const catchUp = (manager: StreamManager["Service"]) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    const offset = yield* offsetOf(request.query)
    const limit = yield* countParameter(request.query, "limit")
    const reading = yield* openReading(manager, request, offset)
    const cursor = yield* cursorHeader(request, reading)
    if (offset !== "now") return yield* answer(request, reading, limit, cursor)
    // The tail changes with every append: no client may keep this answer, or ask for it again by its tag.
    const { etag: _, ...headers } = headersOf(reading, reading.start.next, cursor)
    const body = emptyBody(reading.description.contentType)
    return { status: 200, headers: { ...headers, "cache-control": "no-store" }, body }
  })

/**
 * Answers with the events from the offset on. If none exist, waits for some until the time has passed or the server stops.
 */
export const longPoll = (
  manager: StreamManager["Service"],
  followers: Followers,
  waitMillis: number
) =>
  Effect.fnUntraced(function*(request: RouteRequest, offset: From) {
    const limit = yield* countParameter(request.query, "limit")
    yield* followers.enter(yield* addressedStream(request))
    const opened = yield* openReading(manager, request, offset)
    const { description, start, stream } = opened
    const hasNews = yield* waitForEvents(new StreamFollowing(stream, start), request.stopping, waitMillis)
    const { closed, life, tail } = yield* stream.info
    if (life !== start.life) return yield* new StreamDeleted({ stream: stream.name })
    const cursor = yield* cursorHeader(request, opened)
    if (hasNews) return yield* answer(request, { ...opened, tail, closed }, limit, cursor)
    const isEnd = closed && start.next >= tail
    const headers: Record<string, string> = { ...placeHeaders(start.next, isEnd), ...lifeHeader(description) }
    headers["stream-up-to-date"] = "true"
    headers["cache-control"] = "no-store"
    return { status: 204, headers: isEnd ? headers : { ...headers, ...cursor }, body: undefined }
  })

/** Answers with the events up to the tail or the limit, or with 304 when the client has them already. */
const answer = Effect.fnUntraced(function*(
  request: RouteRequest,
  reading: Reading,
  limit: number | undefined,
  cursor: Readonly<Record<string, string>>
) {
  const end = Math.min(reading.tail, reading.start.next + (limit ?? Infinity))
  const headers = headersOf(reading, end, cursor)
  if (wantsOtherTag(request.header("if-match"), headers["etag"])) {
    return yield* new PreconditionFailed({ stream: reading.stream.name, tail: toOffset(reading.tail) })
  }
  if (namesTag(request.header("if-none-match"), headers["etag"])) {
    return { status: 304, headers, body: undefined } satisfies Answer as Answer
  }
  return { status: 200, headers, body: yield* rangeBody(reading, end) } satisfies Answer as Answer
})

/** A client sends it with its next request, and so names the life that it has read. */
const cursorHeader = (request: RouteRequest, { description: { id } }: Reading) =>
  Effect.map(
    nextCursor(request.query.get("cursor") ?? undefined, id),
    (cursor) => ({ "stream-cursor": `${cursor}` })
  )

const headersOf = (
  { closed, description, isFixed, start, tail }: Reading,
  end: number,
  cursor: Readonly<Record<string, string>>
) => {
  const isTail = end >= tail
  const isEnd = isTail && closed
  return {
    "content-type": description.contentType,
    "stream-next-offset": toOffset(end),
    ...lifeHeader(description),
    "etag": etagOf(description.id, start.next, end, isEnd),
    // A range that ends before the tail, or at the end of a closed stream, never changes. A range that ends at the tail is
    // longer after the next append, and a client that writes and then reads must see it. `private`: a stream may hold
    // secrets, and a shared cache would show them to others (PROTOCOL 10.1).
    "cache-control": isFixed && (!isTail || isEnd)
      ? "private, max-age=60, stale-while-revalidate=300"
      : "private, no-cache",
    // A browser that opens a stream of HTML must not run it as a page of this server.
    "content-security-policy": "sandbox",
    ...(isTail ? { "stream-up-to-date": "true" } : noHeaders),
    ...(isEnd ? { "stream-closed": "true" } : cursor)
  }
}

const noHeaders = {}
