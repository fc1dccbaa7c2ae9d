/**
 * `POST`: appends, closes, or both (docs/protocol.md 11).
 */
import { Effect } from "effect"
import { fromMessages } from "../durable-streams/append-body.ts"
import type { AppendConditions } from "../durable-streams/append-headers.ts"
import { appendConditions, appendedHeaders } from "../durable-streams/append-headers.ts"
import type { Appended, StreamInfo } from "../durable-streams/durable-stream.ts"
import { ContentTypeMismatch, StreamClosed } from "../durable-streams/errors.ts"
import { EventData } from "../durable-streams/event-data.ts"
import { invalid } from "../durable-streams/request-parameters.ts"
import type { StreamManager } from "../durable-streams/stream-manager.ts"
import { isJson, mediaType, toOffset } from "../durable-streams/types.ts"
import type { HookedStream } from "../durable-streams/with-hooks.ts"
import type { Answer } from "../web/exchange.ts"
import type { RouteRequest } from "../web/router.ts"
import { sentType } from "./protocol-headers.ts"
import { addressed } from "./stream-address.ts"

export const appendToStream = (manager: StreamManager["Service"], bodyBytesMax: number) => {
  const append = Effect.fnUntraced(function*(
    request: RouteRequest,
    conditions: AppendConditions,
    stream: HookedStream
  ) {
    // Before the body is read: a stream that is not there needs none of it.
    const info = yield* stream.info
    const body = yield* request.body(bodyBytesMax)
    const common = { ...conditions, mustExist: true }
    if (body.length === 0) {
      if (conditions.close === true) return answer(204, yield* stream.append({ ...common, data: [] }))
      return yield* invalid("The body is empty: send what is to be appended, or Stream-Closed: true.")
    }
    const contentType = yield* sentType(request)
    if (contentType === undefined) return yield* invalid("Send the Content-Type of the body.")
    const data = yield* dataOf(body, contentType, info)
    const appended = yield* stream.append({ ...common, data, contentType })
    // Whoever numbers appends is told apart a new one from one that had been made before (PROTOCOL 5.2.1).
    return answer(appended.producer?.repeated === false ? 200 : 204, appended)
  })

  return Effect.fnUntraced(function*(request: RouteRequest) {
    const name = yield* addressed(request)
    const conditions = yield* appendConditions(request)
    return yield* manager.use(name, (stream) => append(request, conditions, stream))
  })
}

/**
 * The body as events. Where the append has to be refused whatever they are, that is said here, closing first: what is of
 * another type cannot be read as this one, and the writer of a closed stream is to learn that it is closed.
 */
const dataOf = (body: Uint8Array, contentType: string, { closed, description, tail }: StreamInfo) => {
  const { contentType: kept, name: stream } = description
  // Made only when it is told: an error takes down the stack, which costs more than the append.
  const isClosed = () => new StreamClosed({ stream, tail: toOffset(tail) })
  if (contentType !== kept && mediaType(contentType) !== mediaType(kept)) {
    return Effect.fail(closed ? isClosed() : new ContentTypeMismatch({ stream, contentType: kept }))
  }
  if (!isJson(contentType)) return Effect.succeed([EventData.fromBytes(body)])
  const messages = Effect.filterOrElse(
    fromMessages(body),
    (messages) => messages.length > 0,
    () => invalid("The array is empty: send at least one message.")
  )
  return closed ? Effect.mapError(messages, isClosed) : messages
}

const answer = (status: number, appended: Appended): Answer => ({
  status,
  headers: appendedHeaders(appended),
  body: undefined
})
