/**
 * The native API (docs/protocol.md): translates requests to calls of the stream manager and answers back, nothing more.
 */
import { Cause, Clock, Context, Effect, Exit, Layer, References, type Scope } from "effect"
import { OpenApi } from "effect/http-api"
import { Api } from "../api/api.ts"
import type { Health } from "../api/wire.ts"
import { challengeHeader, directoryHeader, proofHeader, toDirectoryHeader } from "../api/wire.ts"
import { InternalError, OtherServer, refusals } from "../domain/errors.ts"
import type { Answer, Handler, Incoming } from "../http/exchange.ts"
import { isDirect, json, toEffect } from "../http/exchange.ts"
import { accessHeaders, refusal } from "../http/guard.ts"
import type { Refusal } from "../http/problem.ts"
import { isRefusal, problem } from "../http/problem.ts"
import type { Route, RouteRequest } from "../http/router.ts"
import { makeRouter } from "../http/router.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import { deleteOnConditions } from "../stream-http/preconditions.ts"
import { countParameter, streamName, textParameter } from "../stream-http/request-parameters.ts"
import { ServerInfo } from "../stream-http/server-info.ts"
import { appendEvents } from "./append-events.ts"
import { followEvents } from "./follow-events.ts"
import { readEvents } from "./read-events.ts"

/** Every request of this server, answered. */
export class HttpRoutes extends Context.Service<HttpRoutes, { readonly handle: Handler }>()(
  "durable-streams/native-api/http-routes/HttpRoutes"
) {
  /** The native API, and beside it the routes of other rooms: one router behind one guard. */
  static readonly layer = <R>(others: ReadonlyArray<Effect.Effect<ReadonlyArray<Route>, never, R>>) =>
    Layer.effect(
      HttpRoutes,
      Effect.gen(function*() {
        const { guard, health } = yield* ServerInfo
        const route = makeRouter([...(yield* nativeRoutes), ...(yield* Effect.all(others)).flat()])
        const verbose = (yield* References.MinimumLogLevel) === "Debug" ||
          (yield* References.MinimumLogLevel) === "Trace"
        let requests = 0
        const requestId = () => `${health.pid}-${++requests}`

        const runFork = Effect.runForkWith(yield* Effect.context<never>())
        const directory = toDirectoryHeader(health.dataDirectory)
        const isForAnother = (request: Incoming) => (request.header(directoryHeader) ?? directory) !== directory

        const answer: Handler = (request) => {
          const refused = refusal(request, guard) ?? (isForAnother(request) ? new OtherServer() : undefined)
          if (refused !== undefined) {
            return Effect.succeed(dressed(problem(refused), accessHeaders(request, guard, true)))
          }
          const access = accessHeaders(request, guard, false)
          const finished = <R>(answered: Effect.Effect<Answer, Refusal, R>) =>
            Effect.map(
              Effect.catchCause(answered, (cause) => refuse(cause, request, requestId)),
              (answer) => dressed(answer, access)
            )
          const answering = route(request)
          if (verbose) return logged(finished(toEffect(answering)), request, requestId())
          if (!isDirect(answering)) return finished(answering)
          return {
            start: (done) =>
              answering.start((exit) =>
                Exit.isSuccess(exit)
                  ? done(Exit.succeed(dressed(exit.value, access)))
                  : void runFork(finished(exit)).addObserver(done)
              )
          }
        }
        return HttpRoutes.of({ handle: answer })
      })
    )
}

const nameOf = ({ parameter }: RouteRequest) => streamName(parameter)

/** The routes of the native API. */
const nativeRoutes = Effect.gen(function*() {
  const manager = yield* StreamManager
  const { bodyBytesMax, followers, health, prove, trouble, usage } = yield* ServerInfo
  const startedAt = yield* Clock.monotonicTimeNanos
  /** Of the API: made once, when somebody first looks. */
  let description: string | undefined

  return [
    {
      method: "GET",
      path: "/streams",
      handle: Effect.fnUntraced(function*({ query }) {
        const prefix = yield* textParameter(query, "prefix")
        const after = yield* textParameter(query, "after")
        const limit = yield* countParameter(query, "limit")
        return json(200, JSON.stringify({ streams: yield* manager.list({ prefix, after, limit }) }))
      })
    },
    {
      method: "POST",
      path: "/streams/:name",
      handle: appendEvents(manager, bodyBytesMax)
    },
    { method: "GET", path: "/streams/:name", handle: followEvents(manager, followers) },
    {
      method: "DELETE",
      path: "/streams/:name",
      handle: Effect.fnUntraced(function*(request) {
        yield* deleteOnConditions(manager, yield* nameOf(request), request)
        return { status: 204, headers: {}, body: undefined }
      })
    },
    { method: "GET", path: "/streams/:name/events", handle: readEvents(manager) },
    {
      method: "GET",
      path: "/health",
      handle: (request) =>
        Effect.zipWith(trouble, Clock.monotonicTimeNanos, (failing, now) => {
          const all: Health = {
            ...(failing === undefined ? { status: "ok" } : { status: "failing", reason: failing.message }),
            ...health,
            usage: { ...usage(), followers: followers.size, awakeStreams: manager.awakeCount() },
            uptimeSeconds: Math.round(Number(now - startedAt) / 1_000_000_000)
          }
          const body = JSON.stringify(all)
          const answer = json(failing === undefined ? 200 : 503, body)
          const challenge = request.header(challengeHeader)
          return challenge === undefined || !isChallenge.test(challenge)
            ? answer
            : { ...answer, headers: { ...answer.headers, [proofHeader]: prove(challenge, body) } }
        })
    },
    {
      method: "GET",
      path: "/openapi.json",
      handle: () => Effect.sync(() => json(200, description ??= JSON.stringify(OpenApi.fromApi(Api))))
    },
    {
      method: "GET",
      path: "/docs",
      // The page's script is larger than the rest of the server: read only when somebody looks.
      handle: () => Effect.flatMap(Effect.promise(() => import("./docs-page.ts")), ({ docsPage }) => docsPage)
    }
  ] satisfies ReadonlyArray<Route>
})

const isChallenge = /^[0-9a-f]{32}$/

/** Headers of every answer: never taken for a page, and read by those who may. */
const dressed = ({ body, headers, status }: Answer, access: Readonly<Record<string, string>>): Answer => {
  const all: Record<string, string> = { ...headers, ...access, "x-content-type-options": "nosniff" }
  const { vary } = headers
  if (vary !== undefined && access["vary"] !== undefined) all["vary"] = `${vary}, ${access["vary"]}`
  return { status, headers: all, body }
}

/** A refusal as its problem; anything else is a defect, told to the log and not to the caller. */
const refuse = (cause: Cause.Cause<Refusal>, request: Incoming, requestId: () => string) => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Cause.squash(cause)
  const known = isRefusal(error)
  const status = known ? refusals[error._tag].status : 500
  if (status < 500) return Effect.succeed(problem(error as Refusal))
  const id = requestId()
  return Effect.logError(known ? error.message : cause).pipe(
    Effect.annotateLogs({ requestId: id, method: request.method, target: request.target, status }),
    Effect.as(problem(known ? error : new InternalError({ requestId: id })))
  )
}

const logged = (answered: Effect.Effect<Answer, never, Scope.Scope>, request: Incoming, requestId: string) =>
  Effect.gen(function*() {
    const from = yield* Clock.monotonicTimeNanos
    const answer = yield* answered
    yield* Effect.logDebug("request").pipe(Effect.annotateLogs({
      requestId,
      method: request.method,
      target: request.target,
      status: answer.status,
      durationMillis: Math.round(Number((yield* Clock.monotonicTimeNanos) - from) / 1_000_000)
    }))
    return answer
  })
