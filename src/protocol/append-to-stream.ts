/**
 * `POST`: appends, closes, or both (docs/protocol.md 11).
 */
import { Effect, Exit, type Fiber } from "effect"
import type { InvalidRequest } from "../domain/errors.ts"
import { ContentTypeMismatch, StreamClosed } from "../domain/errors.ts"
import { isJson, mediaType, toOffset } from "../domain/types.ts"
import { EventData } from "../event/event-data.ts"
import type { Direct } from "../http/direct.ts"
import { whenDone } from "../http/direct.ts"
import type { Answer } from "../http/exchange.ts"
import type { Refusal } from "../http/problem.ts"
import type { RouteRequest } from "../http/router.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import { fromMessages } from "../stream-http/append-body.ts"
import { appendConditions, appendedHeaders } from "../stream-http/append-headers.ts"
import { invalid } from "../stream-http/request-parameters.ts"
import type { Appended, StreamInfo } from "../stream/durable-stream.ts"
import { sentType } from "./protocol-headers.ts"
import { addressed } from "./stream-address.ts"

export const appendToStream = (
  manager: StreamManager["Service"],
  runFork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>,
  bodyBytesMax: number
) =>
(request: RouteRequest): Direct<Refusal> => ({
  answerUnsafe: (done) => {
    const name = addressed(request)
    if (Exit.isFailure(name)) return done(Exit.failCause(name.cause))
    const conditions = appendConditions(request)
    if (Exit.isFailure(conditions)) return done(Exit.failCause(conditions.cause))
    const append = (data: ReadonlyArray<EventData>, contentType: string | undefined) =>
      manager.appendUnsafe(
        name.value,
        { ...conditions.value, mustExist: true, data, contentType },
        whenDone(done, (appended) =>
          // Whoever numbers appends is told a new one from one that had been made before (PROTOCOL 5.2.1).
          done(Exit.succeed(answer(data.length > 0 && appended.producer?.repeated === false ? 200 : 204, appended))))
      )

    const take = whenDone(done, (body: Uint8Array) => {
      const sent = sentBody(request, body, conditions.value.close === true)
      if (Exit.isSuccess(sent)) return append(sent.value.data, sent.value.contentType)
      // What is wrong with the stream goes before what is wrong with the body.
      const told = Effect.flatMap(
        manager.use(name.value, (stream) => stream.info),
        (info) => body.length === 0 ? sent : Effect.flatMap(soundFor(request, info), () => sent)
      )
      runFork(told).addObserver((exit) => {
        if (Exit.isFailure(exit)) done(Exit.failCause(exit.cause))
      })
    })

    request.bodyUnsafe(bodyBytesMax, take)
  }
})

interface Sent {
  readonly data: ReadonlyArray<EventData>
  readonly contentType: string | undefined
}

/** The body as events. Without one there is nothing but the closing. */
const sentBody = (request: RouteRequest, body: Uint8Array, closes: boolean): Exit.Exit<Sent, InvalidRequest> => {
  if (body.length === 0) {
    return closes
      ? Exit.succeed({ data: [], contentType: undefined })
      : invalid("The body is empty: send what is to be appended, or Stream-Closed: true.")
  }
  const type = sentType(request)
  if (Exit.isFailure(type)) return Exit.failCause(type.cause)
  const contentType = type.value
  if (contentType === undefined) return invalid("Send the Content-Type of the body.")
  if (!isJson(contentType)) return Exit.succeed({ data: [EventData.fromBytes(body)], contentType })
  const messages = fromMessages(body)
  if (Exit.isFailure(messages)) return Exit.failCause(messages.cause)
  return messages.value.length === 0
    ? invalid("The array is empty: send at least one message.")
    : Exit.succeed({ data: messages.value, contentType })
}

/** Whether the stream takes anything of the type that was sent; its writer is to learn first of all that it is closed. */
const soundFor = (request: RouteRequest, { closed, description, tail }: StreamInfo) => {
  const { contentType: kept, name: stream } = description
  const type = request.header("content-type")
  if (type !== undefined && mediaType(type) !== mediaType(kept)) {
    return Effect.fail(
      closed
        ? new StreamClosed({ stream, tail: toOffset(tail) })
        : new ContentTypeMismatch({ stream, contentType: kept })
    )
  }
  return closed ? Effect.fail(new StreamClosed({ stream, tail: toOffset(tail) })) : Effect.void
}

const answer = (status: number, appended: Appended): Answer => ({
  status,
  headers: appendedHeaders(appended),
  body: undefined
})
