/**
 * The front of the server: every request passes the gates, then its route answers, and every answer leaves here. Refusals
 * become problems; a defect is told to the log and answered with its request's number only.
 */
import { Cause, Clock, Context, Effect, Layer, References, type Scope } from "effect"
import { InternalError } from "../domain/errors.ts"
import type { Refusal } from "../domain/refusal.ts"
import { isRefusal } from "../domain/refusal.ts"
import { makeAccessHeaders } from "./access-headers.ts"
import type { Answering, Handler } from "./direct.ts"
import { mapAnswering, toEffect } from "./direct.ts"
import type { Answer, Incoming } from "./exchange.ts"
import { Barred, makeGates } from "./gates.ts"
import { Guard, originGate } from "./guard.ts"
import { RequestCounts } from "./metrics.ts"
import { toAnswer } from "./problem.ts"
import type { Route } from "./router.ts"
import { makeRouter, Router } from "./router.ts"

export class Front extends Context.Service<Front, { readonly handle: Handler }>()("durable-streams/http/front") {
  /**
   * Answers with the rooms that the router has when this layer is built. `process` names the server in the numbers of its
   * requests, which its log and its answers have in common.
   */
  static readonly layer = (process: string): Layer.Layer<Front, never, Router | Guard> =>
    Layer.effect(
      Front,
      Effect.gen(function*() {
        const guard = yield* Guard
        const rooms = yield* Effect.flatMap(Router, (router) => router.rooms)
        const level = yield* References.MinimumLogLevel
        const runFork = Effect.runForkWith(yield* Effect.context<never>())
        const route = makeRouter(rooms.flatMap(({ routes = [] }) => routes))
        const pass = makeGates([originGate(guard), ...rooms.flatMap(({ gates = [] }) => gates)])
        const accessHeaders = makeAccessHeaders(guard, rooms)
        const isVerbose = level === "Debug" || level === "Trace"
        const counts = yield* RequestCounts.make
        let found: Route | undefined
        const onRoute = (route: Route) => void (found = route)
        let requests = 0
        const requestId = () => `${process}-${++requests}`

        const leave = (answer: Answer, request: Incoming, route: Route | undefined, isRefused = false): Answer => {
          counts.add(request.method, route, answer.status)
          return withHeaders(answer, accessHeaders(request, isRefused))
        }

        /** A route that throws, instead of failing, must not end the server. */
        const attempt = (request: Incoming, passed: Context.Context<never>): Answering<Refusal> => {
          try {
            return route(request, passed, onRoute)
          } catch (defect) {
            return Effect.die(defect)
          }
        }

        const finish = <R>(answered: Effect.Effect<Answer, Refusal, R>, request: Incoming, route: Route | undefined) =>
          Effect.map(
            Effect.catchCause(answered, (cause) => toProblem(cause, request, requestId)),
            (answer) => leave(answer, request, route)
          )

        const answer = (request: Incoming, passed: Context.Context<never> | Barred): Answering<never> => {
          if (passed instanceof Barred) {
            return Effect.succeed(leave(toAnswer(passed.refusal), request, undefined, passed.isOfOrigin))
          }
          found = undefined
          const answering = attempt(request, passed)
          const asked = found
          if (isVerbose) return logged(finish(toEffect(answering), request, asked), request, requestId())
          return mapAnswering(answering, {
            recover: (cause) => toProblem(cause, request, requestId),
            change: (answer) => leave(answer, request, asked),
            runFork
          })
        }

        return Front.of({
          handle: (request) => {
            const passed = pass(request)
            return Effect.isEffect(passed)
              ? Effect.matchCauseEffect(passed, {
                onSuccess: (passed) => toEffect(answer(request, passed)),
                onFailure: (cause) => finish(Effect.failCause(cause), request, undefined)
              })
              : answer(request, passed)
          }
        })
      })
    )
}

/** Adds the headers of every answer: `nosniff`, so that no browser takes it for a page, and the access headers. */
const withHeaders = ({ body, headers, status }: Answer, access: Readonly<Record<string, string>>): Answer => {
  const all: Record<string, string> = { ...headers, ...access, "x-content-type-options": "nosniff" }
  const { vary } = headers
  if (vary !== undefined && access["vary"] !== undefined) all["vary"] = `${vary}, ${access["vary"]}`
  return { status, headers: all, body }
}

/** Returns the answer to a refusal. A failure of the server is logged, and a defect's cause is told to the log only. */
const toProblem = (cause: Cause.Cause<Refusal>, request: Incoming, requestId: () => string) => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Cause.squash(cause)
  const known = isRefusal(error)
  const status = known ? error.status : 500
  if (status < 500) return Effect.succeed(toAnswer(error as Refusal))
  const id = requestId()
  return Effect.logError(known ? error.message : cause).pipe(
    Effect.annotateLogs({ requestId: id, method: request.method, target: request.target, status }),
    Effect.as(toAnswer(known ? error : new InternalError({ requestId: id })))
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
