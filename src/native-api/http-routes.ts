/**
 * The native API (docs/protocol.md): translates requests to calls of the stream manager and answers back, nothing more.
 */
import { Cause, Clock, Context, Effect, Layer, References, type Scope } from "effect"
import { OpenApi } from "effect/http-api"
import { Api } from "../api/api.ts"
import type { Health } from "../api/wire.ts"
import { challengeHeader, directoryHeader, proofHeader, toDirectoryHeader } from "../api/wire.ts"
import { InternalError, OtherServer, refusals } from "../domain/errors.ts"
import { sliceBlock } from "../event/event-block.ts"
import { prefers } from "../http/accept.ts"
import type { Handler } from "../http/direct.ts"
import { mapAnswering, toEffect } from "../http/direct.ts"
import type { Answer, Incoming } from "../http/exchange.ts"
import { inPieces, json, PieceMemory } from "../http/exchange.ts"
import { accessHeaders, refusal } from "../http/guard.ts"
import type { Refusal } from "../http/problem.ts"
import { isRefusal, problem } from "../http/problem.ts"
import type { Route, RouteRequest } from "../http/router.ts"
import { makeRouter } from "../http/router.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import { placeHeaders } from "../stream-http/append-headers.ts"
import { subscribe } from "../stream-http/following.ts"
import type { EventJoints } from "../stream-http/framing.ts"
import { joinedBytes, joinEvents } from "../stream-http/framing.ts"
import { deleteOnConditions } from "../stream-http/preconditions.ts"
import { lifeHeader, lifeOf, openAt } from "../stream-http/reading-start.ts"
import { countParameter, offsetParameter, streamName, textParameter } from "../stream-http/request-parameters.ts"
import { ServerInfo } from "../stream-http/server-info.ts"
import type { Cursor, DurableStream } from "../stream/durable-stream.ts"
import { appendEvents } from "./append-events.ts"

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
          const answering = mapAnswering(route(request), {
            recover: (cause) => refuse(cause, request, requestId),
            change: (answer) => dressed(answer, access),
            runFork
          })
          return verbose ? logged(toEffect(answering), request, requestId()) : answering
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

  const events = Effect.fnUntraced(function*(request: RouteRequest) {
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
    { method: "GET", path: "/streams/:name", handle: subscribe(manager, followers) },
    {
      method: "DELETE",
      path: "/streams/:name",
      handle: Effect.fnUntraced(function*(request) {
        yield* deleteOnConditions(manager, yield* nameOf(request), request)
        return { status: 204, headers: {}, body: undefined }
      })
    },
    { method: "GET", path: "/streams/:name/events", handle: events },
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
  stream: DurableStream<unknown>,
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
