/**
 * The Durable Streams Protocol (docs/protocol.md, part B): translates requests to calls of the stream manager and
 * answers back, nothing more.
 */
import { Cause, Effect, Exit, Option } from "effect"
import { refusals } from "../domain/errors.ts"
import { mapAnswering } from "../http/direct.ts"
import type { Answer } from "../http/exchange.ts"
import type { Refusal } from "../http/problem.ts"
import { problem } from "../http/problem.ts"
import { PublicUrl } from "../http/public-url.ts"
import type { Route, RouteRequest } from "../http/router.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import { deleteOnConditions } from "../stream-http/preconditions.ts"
import { invalid, textParameter } from "../stream-http/request-parameters.ts"
import { ServerInfo } from "../stream-http/server-info.ts"
import { appendToStream } from "./append-to-stream.ts"
import { createStream } from "./create-stream.ts"
import { liveSse } from "./live-sse.ts"
import { extensions, infoHeaders } from "./protocol-headers.ts"
import { catchUp, longPoll } from "./read-stream.ts"
import { addressed, offsetOf } from "./stream-address.ts"

/** The routes of the protocol. */
export const protocolRoutes: Effect.Effect<ReadonlyArray<Route>, never, StreamManager | ServerInfo | PublicUrl> = Effect
  .gen(
    function*() {
      const manager = yield* StreamManager
      const { bodyBytesMax, followers, longPollMillis } = yield* ServerInfo
      const { base } = yield* PublicUrl
      const runFork = Effect.runForkWith(yield* Effect.context<never>())

      const head = Effect.fnUntraced(function*(request: RouteRequest) {
        const stream = yield* manager.get(yield* addressed(request))
        const headers = { ...infoHeaders(yield* stream.info), "cache-control": "no-store" }
        return { status: 200, headers, body: undefined }
      })

      const remove = Effect.fnUntraced(function*(request: RouteRequest) {
        yield* deleteOnConditions(manager, yield* addressed(request), request)
        return { status: 204, headers: {}, body: undefined }
      })

      const modes = {
        caughtUp: catchUp(manager),
        "long-poll": longPoll(manager, followers, longPollMillis),
        sse: liveSse(manager, followers)
      }

      const read = Effect.fnUntraced(function*(request: RouteRequest) {
        const live = yield* textParameter(request.query, "live")
        if (live === undefined) return yield* modes.caughtUp(request)
        if (live !== "long-poll" && live !== "sse") {
          return yield* invalid("live is long-poll or sse; leave it out to catch up.")
        }
        const offset = yield* offsetOf(request.query)
        if (offset === undefined) {
          return yield* invalid(`live=${live} needs an offset: -1, now, or one that was answered.`)
        }
        return yield* modes[live](request, offset)
      })

      const announce = announcing(runFork)
      const path = "/v1/stream/*"
      return [
        { method: "PUT", path, handle: announce(createStream(manager, bodyBytesMax, base)) },
        { method: "POST", path, handle: announce(appendToStream(manager, runFork, bodyBytesMax)) },
        { method: "GET", path, handle: announce(read) },
        { method: "HEAD", path, handle: announce(head) },
        { method: "DELETE", path, handle: announce(remove) }
      ]
    }
  )

/** Says in every answer what this server can do besides; a fault of ours is answered by the front, which logs it. */
const announcing = (runFork: RunFork) => (handle: Route["handle"]): Route["handle"] => (request) =>
  mapAnswering(handle(request), { recover: answerTheirs, change: announced, runFork })

type RunFork = Parameters<typeof mapAnswering>[1]["runFork"]

const announced = (answer: Answer): Answer => ({ ...answer, headers: { ...answer.headers, ...extensions } })

/** A refusal that is the client's fault, as its problem. */
const answerTheirs = (cause: Cause.Cause<Refusal>): Exit.Exit<Answer, Refusal> => {
  const refusal = Option.getOrUndefined(Cause.findErrorOption(cause))
  return refusal !== undefined && refusals[refusal._tag].status < 500
    ? Exit.succeed(problem(refusal))
    : Exit.failCause(cause)
}
