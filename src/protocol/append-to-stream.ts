/**
 * `POST`: appends, closes, or both (docs/protocol.md 11).
 */
import { Effect, Exit, type Fiber } from "effect"
import type { InvalidRequest } from "../domain/errors.ts"
import { ContentTypeMismatch, StreamClosed } from "../domain/errors.ts"
import type { Refusal } from "../domain/refusal.ts"
import { isJson, mediaType, toOffset } from "../domain/types.ts"
import { EventData } from "../event/event-data.ts"
import type { Direct } from "../http/direct.ts"
import { whenDone } from "../http/direct.ts"
import type { Answer } from "../http/exchange.ts"
import { callerOf } from "../http/gates.ts"
import type { RouteRequest } from "../http/router.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import { fromMessages } from "../stream-http/append-body.ts"
import { appendConditions, appendedHeaders } from "../stream-http/append-headers.ts"
import { invalid } from "../stream-http/request-parameters.ts"
import type { Appended, StreamInfo } from "../stream/durable-stream.ts"
import { sentType } from "./protocol-headers.ts"
import { addressedStream } from "./stream-address.ts"

export const appendToStream = (
  manager: StreamManager["Service"],
  runFork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>,
  bodyBytesMax: number
) =>
(request: RouteRequest): Direct<Refusal> => ({
  answerUnsafe: (done) => {
    const name = addressedStream(request)
    if (Exit.isFailure(name)) return done(Exit.failCause(name.cause))
    const conditions = appendConditions(request)
    if (Exit.isFailure(conditions)) return done(Exit.failCause(conditions.cause))
    const append = (data: ReadonlyArray<EventData>, contentType: string | undefined) =>
      manager.appendUnsafe(
        name.value,
        { ...conditions.value, mustExist: true, data, contentType, by: callerOf(request) },
        whenDone(done, (appended) =>
          // The status tells a producer a new append from one that it had made before (PROTOCOL 5.2.1).
          done(Exit.succeed(answer(data.length > 0 && appended.producer?.repeated === false ? 200 : 204, appended))))
      )

    const take = whenDone(done, (body: Uint8Array) => {
      const parsed = parseBody(request, body, conditions.value.close === true)
      if (Exit.isSuccess(parsed)) return append(parsed.value.data, parsed.value.contentType)
      // A fault of the stream is answered rather than a fault of the body.
      const refused = Effect.flatMap(
        manager.use(name.value, (stream) => stream.info),
        (info) => body.length === 0 ? parsed : Effect.flatMap(checkType(request, info), () => parsed)
      )
      runFork(refused).addObserver((exit) => {
        if (Exit.isFailure(exit)) done(Exit.failCause(exit.cause))
      })
    })

    request.bodyUnsafe(bodyBytesMax, take)
  }
})

interface ParsedBody {
  readonly data: ReadonlyArray<EventData>
  readonly contentType: string | undefined
}

/** Parses the body into events. A request that only closes the stream may have none. */
const parseBody = (request: RouteRequest, body: Uint8Array, closes: boolean): Exit.Exit<ParsedBody, InvalidRequest> => {
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

/** Fails when the stream does not take the type of the body, and first of all when it is closed: the writer must learn that. */
const checkType = (request: RouteRequest, { closed, description, tail }: StreamInfo) => {
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
