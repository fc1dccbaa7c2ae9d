/**
 * `POST`: appends, closes, or both (docs/protocol.md 11).
 */
import { Effect } from "effect"
import { fromMessages } from "../durable-streams/append-body.ts"
import type { Appended, StreamInfo } from "../durable-streams/durable-stream.ts"
import { ContentTypeMismatch, StreamClosed } from "../durable-streams/errors.ts"
import { EventData } from "../durable-streams/event-data.ts"
import { closesStream, ifMatch, invalid, producerNumber, unencoded } from "../durable-streams/request-parameters.ts"
import type { StreamManager } from "../durable-streams/stream-manager.ts"
import { isJson, mediaType, toOffset } from "../durable-streams/types.ts"
import type { Answer } from "../web/exchange.ts"
import type { RouteRequest } from "../web/router.ts"
import { placeHeaders, sentType } from "./protocol-headers.ts"
import { addressed } from "./stream-address.ts"

export const appendToStream = (manager: StreamManager["Service"], bodyBytesMax: number) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    const name = yield* addressed(request)
    const producer = yield* producerNumber(request)
    const expected = yield* ifMatch(request.header("if-match"))
    const close = closesStream(request)
    yield* unencoded(request)
    const stream = yield* manager.get(name)
    // Before the body is read: a stream that is not there needs none of it.
    const info = yield* stream.info
    const body = yield* request.body(bodyBytesMax)
    const common = { producer, ifMatch: expected, close, seq: request.header("stream-seq"), mustExist: true }
    if (body.length === 0) {
      if (!close) return yield* invalid("The body is empty: send what is to be appended, or Stream-Closed: true.")
      return answer(yield* stream.append({ ...common, data: [] }), false)
    }
    const contentType = yield* sentType(request)
    if (contentType === undefined) return yield* invalid("Send the Content-Type of the body.")
    const data = yield* dataOf(body, contentType, info)
    return answer(yield* stream.append({ ...common, data, contentType }), true)
  })

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

const answer = ({ closed, producer, tail }: Appended, hasBody: boolean): Answer => {
  const headers = placeHeaders(tail, closed)
  if (producer === undefined) return { status: 204, headers, body: undefined }
  headers["producer-epoch"] = `${producer.epoch}`
  headers["producer-seq"] = `${producer.seq}`
  return { status: producer.repeated || !hasBody ? 204 : 200, headers, body: undefined }
}
