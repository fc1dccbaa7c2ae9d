/**
 * `GET` without following: what is there, or, with `live=long-poll`, what is there next (docs/protocol.md 12, 13).
 */
import { Effect, Option } from "effect"
import { sliceBlock } from "../durable-streams/event-block.ts"
import { countParameter } from "../durable-streams/request-parameters.ts"
import type { StreamManager } from "../durable-streams/stream-manager.ts"
import type { EventBlock } from "../durable-streams/types.ts"
import { toOffset } from "../durable-streams/types.ts"
import type { Answer } from "../web/exchange.ts"
import type { RouteRequest } from "../web/router.ts"
import { nextCursor } from "./cursor.ts"
import { etagOf, namesTag } from "./etag.ts"
import { bodyOf } from "./messages.ts"
import { placeHeaders } from "./protocol-headers.ts"
import type { Place, Reading } from "./reading.ts"
import { openReading, placeOf } from "./reading.ts"
import { offsetOf } from "./stream-address.ts"

/** What is there from the offset on: one block of it at the most. */
export const catchUp = (manager: StreamManager["Service"]) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    const offset = yield* offsetOf(request.query)
    const limit = yield* countParameter(request.query, "limit")
    const reading = yield* openReading(manager, request, offset)
    const { start, stream } = reading
    if (offset !== "now") return yield* answer(request, reading, yield* stream.read(start), limit, noHeaders)
    // Where the tail is changes with every append: neither to be kept nor to be asked for again by its tag.
    const { etag: _, ...headers } = headersOf(reading, start.next, yield* placeOf(stream, start))
    return {
      status: 200,
      headers: { ...headers, "cache-control": "no-store" },
      body: bodyOf([], reading.contentType)
    }
  })

/** What is there from the offset on or, where nothing is, what comes within the time. */
export const longPoll = (manager: StreamManager["Service"], waitMillis: number) =>
  Effect.fnUntraced(function*(request: RouteRequest, offset: NonNullable<Parameters<typeof openReading>[2]>) {
    const limit = yield* countParameter(request.query, "limit")
    const reading = yield* openReading(manager, request, offset)
    const { start, stream } = reading
    const found = yield* Effect.timeoutOption(stream.next(start), waitMillis)
    const cursor = { "stream-cursor": `${yield* nextCursor(request.query.get("cursor") ?? undefined)}` }
    if (Option.isSome(found) && found.value.count > 0) {
      return yield* answer(request, reading, found.value, limit, cursor)
    }
    const { isEnd } = yield* placeOf(stream, start)
    const headers: Record<string, string> = placeHeaders(start.next, isEnd)
    headers["stream-up-to-date"] = "true"
    headers["cache-control"] = "no-store"
    return { status: 204, headers: isEnd ? headers : { ...headers, ...cursor }, body: undefined }
  })

/** The block's events, or that the caller has them already. */
const answer = Effect.fnUntraced(function*(
  request: RouteRequest,
  reading: Reading,
  first: EventBlock,
  limit: number | undefined,
  more: Readonly<Record<string, string>>
) {
  const { life } = reading.start
  const { blocks, end } = yield* fill(reading, first, limit ?? Infinity)
  const headers = { ...headersOf(reading, end, yield* placeOf(reading.stream, { life, next: end })), ...more }
  if (namesTag(request.header("if-none-match"), headers["etag"])) {
    return { status: 304, headers, body: undefined } satisfies Answer as Answer
  }
  const body = bodyOf(blocks, reading.contentType)
  for (const block of blocks) block.release?.()
  return { status: 200, headers, body } satisfies Answer as Answer
})

/** How much of the log is one answer, where no event is larger. */
const answerBytesMax = 1024 * 1024

/** Reads on until that is an answer: what a fork inherits is never in one block with what is its own. */
const fill = Effect.fnUntraced(function*({ start, stream, tail }: Reading, first: EventBlock, limit: number) {
  const blocks: Array<EventBlock> = []
  let bytes = 0
  let end = start.next
  let found = first
  while (true) {
    const block = sliceBlock(found, end, start.next + limit - end)
    if (block.count > 0) blocks.push(block)
    end += block.count
    bytes += block.count === 0 ? 0 : block.ends[block.count - 1]! - block.starts[0]!
    if (block.count === 0 || end >= tail || end - start.next >= limit || bytes >= answerBytesMax) return { blocks, end }
    found = yield* stream.read({ life: start.life, next: end }, answerBytesMax - bytes)
  }
})

const headersOf = ({ contentType, id, isFixed, start }: Reading, end: number, { isEnd, isTail }: Place) => ({
  "content-type": contentType,
  "stream-next-offset": toOffset(end),
  "etag": etagOf(id, start.next, end, isEnd),
  // What ends before the tail, or at the end of all, is the same whenever it is asked for. What ends at the tail is
  // longer after the next append, and whoever writes and then reads must see it. `private`: we do not know what a
  // stream holds, and a shared cache would show it to others (PROTOCOL 10.1).
  "cache-control": isFixed && (!isTail || isEnd)
    ? "private, max-age=60, stale-while-revalidate=300"
    : "private, no-cache",
  // Whoever opens a stream of HTML in a browser must not run it as a page of this server.
  "content-security-policy": "sandbox",
  ...(isTail ? { "stream-up-to-date": "true" } : noHeaders),
  ...(isEnd ? { "stream-closed": "true" } : noHeaders)
})

const noHeaders = {}
