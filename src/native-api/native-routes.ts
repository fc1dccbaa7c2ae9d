/**
 * The native API (docs/protocol.md, part A): translates requests to calls of the stream manager, and their results to
 * answers.
 */
import { Effect, type Layer } from "effect"
import { streams } from "../api/api.ts"
import { CurrentLimits } from "../domain/limits.ts"
import { sliceBlock } from "../event/event-block.ts"
import type { HookedStream } from "../hooks/with-hooks.ts"
import { prefers } from "../http/accept.ts"
import { inPieces, json, PieceMemory } from "../http/exchange.ts"
import type { RouteRequest } from "../http/router.ts"
import { Router } from "../http/router.ts"
import { CurrentFollowers } from "../manager/followers.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import { placeHeaders } from "../stream-http/append-headers.ts"
import { subscribe } from "../stream-http/following.ts"
import type { EventJoints } from "../stream-http/framing.ts"
import { joinedBytes, joinEvents } from "../stream-http/framing.ts"
import { deleteOnConditions } from "../stream-http/preconditions.ts"
import { lifeHeader, lifeOf, openAt } from "../stream-http/reading-start.ts"
import { countParameter, offsetParameter, streamName, textParameter } from "../stream-http/request-parameters.ts"
import type { Cursor } from "../stream/durable-stream.ts"
import { appendEvents } from "./append-events.ts"

/** The native API. */
export const nativeApi: Layer.Layer<never, never, Router | StreamManager | CurrentFollowers> = Router.room(
  Effect.gen(function*() {
    const manager = yield* StreamManager
    const followers = yield* CurrentFollowers
    const { bodyBytesMax } = yield* CurrentLimits
    return {
      routes: [
        { method: "GET", path: "/streams", handle: listStreams(manager) },
        { method: "POST", path: "/streams/:name", handle: appendEvents(manager, bodyBytesMax) },
        { method: "GET", path: "/streams/:name", handle: subscribe(manager, followers) },
        { method: "DELETE", path: "/streams/:name", handle: deleteStream(manager) },
        { method: "GET", path: "/streams/:name/events", handle: readEvents(manager) }
      ],
      reads: ["Stream-Life", "Stream-Seq", "Stream-Closed", "Producer-Id", "Producer-Epoch", "Producer-Seq"],
      exposes: [
        "Stream-Next-Offset",
        "Stream-Life",
        "Stream-Closed",
        "Producer-Epoch",
        "Producer-Seq",
        "Producer-Expected-Seq",
        "Producer-Received-Seq"
      ],
      describe: () => [streams]
    }
  })
)

const listStreams = (manager: StreamManager["Service"]) =>
  Effect.fnUntraced(function*({ query }: RouteRequest) {
    const prefix = yield* textParameter(query, "prefix")
    const after = yield* textParameter(query, "after")
    const limit = yield* countParameter(query, "limit")
    return json(200, JSON.stringify({ streams: yield* manager.list({ prefix, after, limit }) }))
  })

const deleteStream = (manager: StreamManager["Service"]) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    yield* deleteOnConditions(manager, yield* streamName(request.parameter), request)
    return { status: 204, headers: {}, body: undefined }
  })

const readEvents = (manager: StreamManager["Service"]) =>
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
    const shape = prefers(request.header("accept"), "application/x-ndjson", "application/json") ? lines : items
    const end = Math.min(tail, start.next + (limit ?? Infinity))
    return yield* answerEvents(stream, start, end, shape, { ...placeHeaders(end, false), ...lifeHeader(description) })
  })

/** How a run of events is written into an answer. */
interface Shape {
  readonly contentType: string
  readonly joints: (isFirst: boolean, isEmpty: boolean, isLast: boolean) => EventJoints
}

/** `{"events":[…]}`. */
const items: Shape = {
  contentType: "application/json",
  joints: (isFirst, isEmpty, isLast) => ({
    before: isFirst ? `{"events":[` : isEmpty ? "" : ",",
    between: ",",
    after: isLast ? "]}" : ""
  })
}

/** An event a line. */
const lines: Shape = {
  contentType: "application/x-ndjson; charset=utf-8",
  joints: (_, isEmpty) => ({ before: "", between: "\n", after: isEmpty ? "" : "\n" })
}

/** The events before `end`: at once when one read has them all, else as they are read. */
const answerEvents = Effect.fnUntraced(function*(
  stream: HookedStream,
  start: Cursor,
  end: number,
  shape: Shape,
  place: Readonly<Record<string, string>>
) {
  const headers = { "content-type": shape.contentType, ...place }
  const memory = new PieceMemory()
  let cursor = start

  const piece = Effect.map(Effect.suspend(() => stream.read(cursor)), (found) => {
    const block = sliceBlock(found, cursor.next, end - cursor.next)
    const isFirst = cursor === start
    cursor = { life: cursor.life, next: cursor.next + block.count }
    const isLast = cursor.next >= end
    const joints = shape.joints(isFirst, block.count === 0, isLast)
    const size = joinedBytes(block, joints)
    // What is the whole answer is not waited for, and must not lie in memory that is used again.
    const bytes = isFirst && isLast
      ? joinEvents(block, joints, Buffer.allocUnsafe(size))
      : memory.fill(size, (target) => joinEvents(block, joints, target))
    found.release?.()
    return bytes
  })

  const first = yield* piece
  if (cursor.next >= end) return { status: 200, headers, body: first }
  const rest = Effect.suspend(() => cursor.next >= end ? Effect.undefined : piece)
  return { status: 200, headers, body: inPieces(first, rest) }
})
