/**
 * `POST /streams/:name` (docs/protocol.md 3): the body's events become one commit, on the conditions that the headers
 * name, and are answered with once they are durable.
 */
import { Effect } from "effect"
import type { Answer } from "../web/exchange.ts"
import { json } from "../web/exchange.ts"
import type { RouteRequest } from "../web/router.ts"
import { fromJsonBody, fromNdjsonBody, toBytes } from "./append-body.ts"
import type { Appended } from "./durable-stream.ts"
import { appendMediaType, closesStream, ifMatch, producerNumber, streamName, unencoded } from "./request-parameters.ts"
import type { StreamManager } from "./stream-manager.ts"
import { toOffset } from "./types.ts"

export const appendEvents = (manager: StreamManager["Service"], bodyBytesMax: number) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    const name = yield* streamName(request.parameter)
    yield* unencoded(request)
    const mediaType = yield* appendMediaType(request)
    const conditions = {
      ifMatch: yield* ifMatch(request.header("if-match")),
      producer: yield* producerNumber(request),
      seq: request.header("stream-seq"),
      close: closesStream(request)
    }
    const body = yield* request.body(bodyBytesMax)
    const data = yield* (mediaType === "json" ? fromJsonBody(body) : fromNdjsonBody(body))
    const appended = yield* manager.append(name, { ...conditions, data }).pipe(
      // A stream of bytes takes data that stands for bytes.
      Effect.catchTag("ContentTypeMismatch", (mismatch) => {
        const bytes = toBytes(data)
        return bytes === undefined ? Effect.fail(mismatch) : manager.append(name, { ...conditions, data: bytes })
      })
    )
    const { closed, events, producer, tail } = appended
    const answer = producer?.repeated === true
      ? json(200, repeatedText(name, appended, producer))
      : mediaType === "json"
      ? json(201, events.bytes.subarray(events.starts[0], events.ends[0]))
      : json(
        201,
        JSON.stringify({
          eventStreamId: name,
          count: events.count,
          offset: toOffset(events.first),
          nextOffset: toOffset(tail)
        })
      )
    return producer === undefined && !closed ? answer : { ...answer, headers: { ...answer.headers, ...told(appended) } }
  })

/** There is no event to show: which it was, nobody kept. */
const repeatedText = (name: string, { tail }: Appended, { epoch, seq }: NonNullable<Appended["producer"]>): string =>
  JSON.stringify({ eventStreamId: name, repeated: true, producer: { epoch, seq }, nextOffset: toOffset(tail) })

/** What the protocol tells of such an append, too. */
const told = ({ closed, producer, tail }: Appended): Answer["headers"] => ({
  "stream-next-offset": toOffset(tail),
  ...(closed ? { "stream-closed": "true" } : undefined),
  ...(producer === undefined ? undefined : { "producer-epoch": `${producer.epoch}`, "producer-seq": `${producer.seq}` })
})
