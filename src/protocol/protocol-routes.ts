/**
 * The Durable Streams Protocol (docs/protocol.md, part B): translates requests to calls of the stream manager and
 * answers back, nothing more.
 */
import { Cause, Context, Effect, Exit, type Layer, Option } from "effect"
import { CurrentLimits } from "../domain/limits.ts"
import type { Refusal } from "../domain/refusal.ts"
import { mapAnswering } from "../http/direct.ts"
import type { Answer } from "../http/exchange.ts"
import { toAnswer } from "../http/problem.ts"
import { PublicUrl } from "../http/public-url.ts"
import type { Route, RouteRequest } from "../http/router.ts"
import { Router } from "../http/router.ts"
import type { Followers } from "../manager/followers.ts"
import { CurrentFollowers } from "../manager/followers.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import { deleteOnConditions } from "../stream-http/preconditions.ts"
import { invalid, textParameter } from "../stream-http/request-parameters.ts"
import { streamExposes, streamReads } from "../stream-http/stream-headers.ts"
import { appendToStream } from "./append-to-stream.ts"
import { createStream } from "./create-stream.ts"
import { liveSse } from "./live-sse.ts"
import { describeProtocol } from "./protocol-api.ts"
import { extensions, infoHeaders } from "./protocol-headers.ts"
import { catchUp, longPoll } from "./read-stream.ts"
import { addressedStream, offsetOf } from "./stream-address.ts"

/** How long a long-poll waits for news, in milliseconds. */
export const LongPollMillis: Context.Reference<number> = Context.Reference<number>(
  "durable-streams/protocol/protocol-routes/LongPollMillis",
  // Below the minute after which proxies give up on a silent answer.
  { defaultValue: () => 30_000 }
)

/** The Durable Streams Protocol. */
export const protocol: Layer.Layer<never, never, Router | StreamManager | CurrentFollowers | PublicUrl> = Router.room(
  Effect.gen(function*() {
    const manager = yield* StreamManager
    const followers = yield* CurrentFollowers
    const longPollMillis = yield* LongPollMillis
    const { bodyBytesMax } = yield* CurrentLimits
    const { base } = yield* PublicUrl
    const runFork = Effect.runForkWith(yield* Effect.context<never>())
    const announce = announcing(runFork)
    const path = "/v1/stream/*"
    return {
      routes: [
        { method: "PUT", path, handle: announce(createStream(manager, bodyBytesMax, base)) },
        { method: "POST", path, handle: announce(appendToStream(manager, runFork, bodyBytesMax)) },
        { method: "GET", path, handle: announce(readStream(manager, followers, longPollMillis)) },
        { method: "HEAD", path, handle: announce(describeStream(manager)) },
        { method: "DELETE", path, handle: announce(deleteStream(manager)) }
      ],
      reads: [
        ...streamReads,
        "Stream-TTL",
        "Stream-Expires-At",
        "Stream-Forked-From",
        "Stream-Fork-Offset",
        "Stream-Fork-Sub-Offset"
      ],
      exposes: [
        ...streamExposes,
        "Stream-Cursor",
        "Stream-Up-To-Date",
        "Stream-TTL",
        "Stream-Expires-At",
        "Stream-SSE-Data-Encoding",
        "Stream-Extensions"
      ],
      describe: () => [describeProtocol()]
    }
  })
)

const describeStream = (manager: StreamManager["Service"]) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    const stream = yield* manager.get(yield* addressedStream(request))
    const headers = { ...infoHeaders(yield* stream.info), "cache-control": "no-store" }
    return { status: 200, headers, body: undefined }
  })

const deleteStream = (manager: StreamManager["Service"]) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    yield* deleteOnConditions(manager, yield* addressedStream(request), request)
    return { status: 204, headers: {}, body: undefined }
  })

/** Reads what is there, or follows: as the parameter `live` says. */
const readStream = (manager: StreamManager["Service"], followers: Followers, longPollMillis: number) => {
  const read = catchUp(manager)
  const follow = { "long-poll": longPoll(manager, followers, longPollMillis), sse: liveSse(manager, followers) }
  return Effect.fnUntraced(function*(request: RouteRequest) {
    const live = yield* textParameter(request.query, "live")
    if (live === undefined) return yield* read(request)
    if (live !== "long-poll" && live !== "sse") {
      return yield* invalid("live is long-poll or sse; leave it out to catch up.")
    }
    const offset = yield* offsetOf(request.query)
    if (offset === undefined) {
      return yield* invalid(`live=${live} needs an offset: -1, now, or one that was answered.`)
    }
    return yield* follow[live](request, offset)
  })
}

/** Names this server's extensions in every answer. A failure of the server (5xx) is left to the front, which logs it. */
const announcing = (runFork: RunFork) => (handle: Route["handle"]): Route["handle"] => (request) =>
  mapAnswering(handle(request), { recover: answerClient, change: withExtensions, runFork })

type RunFork = Parameters<typeof mapAnswering>[1]["runFork"]

const withExtensions = (answer: Answer): Answer => ({ ...answer, headers: { ...answer.headers, ...extensions } })

/** Returns the answer to a refusal that is the client's fault. */
const answerClient = (cause: Cause.Cause<Refusal>): Exit.Exit<Answer, Refusal> => {
  const refusal = Option.getOrUndefined(Cause.findErrorOption(cause))
  return refusal !== undefined && refusal.status < 500 ? Exit.succeed(toAnswer(refusal)) : Exit.failCause(cause)
}
