/**
 * The native API (docs/protocol.md, part A): translates requests into calls of the stream manager, and their results into
 * answers.
 */
import { Effect, type Layer } from "effect"
import { streams } from "../api/api.ts"
import { CurrentLimits } from "../domain/limits.ts"
import { json } from "../http/exchange.ts"
import type { RouteRequest } from "../http/router.ts"
import { Router } from "../http/router.ts"
import { CurrentFollowers } from "../manager/followers.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import { deleteOnConditions } from "../stream-http/preconditions.ts"
import { countParameter, streamName, textParameter } from "../stream-http/request-parameters.ts"
import { streamExposes, streamReads } from "../stream-http/stream-headers.ts"
import { appendEvents } from "./append-events.ts"
import { followEvents } from "./follow-events.ts"
import { readEvents } from "./read-events.ts"

/** The routes of the native API, with the headers that they read and expose. */
export const nativeApi: Layer.Layer<never, never, Router | StreamManager | CurrentFollowers> = Router.room(
  Effect.gen(function*() {
    const manager = yield* StreamManager
    const followers = yield* CurrentFollowers
    const { bodyBytesMax } = yield* CurrentLimits
    return {
      routes: [
        { method: "GET", path: "/streams", handle: listStreams(manager) },
        { method: "POST", path: "/streams/:name", handle: appendEvents(manager, bodyBytesMax) },
        { method: "GET", path: "/streams/:name", handle: followEvents(manager, followers) },
        { method: "DELETE", path: "/streams/:name", handle: deleteStream(manager) },
        { method: "GET", path: "/streams/:name/events", handle: readEvents(manager) }
      ],
      reads: streamReads,
      exposes: streamExposes,
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
