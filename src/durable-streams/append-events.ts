/**
 * `POST /streams/:name` (docs/protocol.md 3): the body's events become one commit, on the conditions that the headers
 * name, and are answered with once they are durable.
 */
import { Effect } from "effect"
import type { Answer } from "../web/exchange.ts"
import { json } from "../web/exchange.ts"
import type { RouteRequest } from "../web/router.ts"
import { fromJsonBody, fromNdjsonBody, toBytes } from "./append-body.ts"
import { appendConditions, appendedHeaders } from "./append-headers.ts"
import type { Appended } from "./durable-stream.ts"
import { appendMediaType, streamName } from "./request-parameters.ts"
import type { StreamManager } from "./stream-manager.ts"
import type { StreamName } from "./types.ts"
import { toOffset } from "./types.ts"

export const appendEvents = (manager: StreamManager["Service"], bodyBytesMax: number) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    const name = yield* streamName(request.parameter)
    const mediaType = yield* appendMediaType(request)
    const conditions = yield* appendConditions(request)
    const body = yield* request.body(bodyBytesMax)
    const data = yield* (mediaType === "json" ? fromJsonBody(body) : fromNdjsonBody(body))
    const appended = yield* Effect.catchTag(
      manager.append(name, { ...conditions, data }),
      "ContentTypeMismatch",
      (mismatch) => {
        // A stream of bytes takes data that stands for bytes.
        const bytes = toBytes(data)
        return bytes === undefined ? Effect.fail(mismatch) : manager.append(name, { ...conditions, data: bytes })
      }
    )
    const answer = appended.producer?.repeated === true
      ? json(200, repeatedText(name, appended, appended.producer))
      : mediaType === "json"
      ? json(201, onlyEvent(appended))
      : json(201, countText(name, appended))
    return appended.producer === undefined && !appended.closed
      ? answer
      : { ...answer, headers: { ...answer.headers, ...appendedHeaders(appended) } } satisfies Answer
  })

const onlyEvent = ({ events: { bytes, ends, starts } }: Appended): Uint8Array => bytes.subarray(starts[0], ends[0])

const countText = (name: StreamName, { events, tail }: Appended): string =>
  JSON.stringify({
    eventStreamId: name,
    count: events.count,
    offset: toOffset(events.first),
    nextOffset: toOffset(tail)
  })

/** There is no event to show: which it was, nobody kept. */
const repeatedText = (name: string, { tail }: Appended, { epoch, seq }: NonNullable<Appended["producer"]>): string =>
  JSON.stringify({ eventStreamId: name, repeated: true, producer: { epoch, seq }, nextOffset: toOffset(tail) })
