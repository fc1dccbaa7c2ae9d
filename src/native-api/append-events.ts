/**
 * `POST /streams/:name` (docs/protocol.md 3): appends the events of the body as one commit, on the conditions that the
 * headers name, and answers when they are durable.
 */
import { Exit, Option } from "effect"
import type { Refusal } from "../domain/refusal.ts"
import type { StreamName } from "../domain/types.ts"
import { toOffset } from "../domain/types.ts"
import type { Direct } from "../http/direct.ts"
import { whenDone } from "../http/direct.ts"
import type { Answer } from "../http/exchange.ts"
import { json } from "../http/exchange.ts"
import { callerOf } from "../http/gates.ts"
import type { RouteRequest } from "../http/router.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import { fromJsonBody, fromNdjsonBody, toBytes } from "../stream-http/append-body.ts"
import { appendConditions, appendedHeaders } from "../stream-http/append-headers.ts"
import { appendMediaType, streamName } from "../stream-http/request-parameters.ts"
import type { Appended } from "../stream/durable-stream.ts"

export const appendEvents =
  (manager: StreamManager["Service"], bodyBytesMax: number) => (request: RouteRequest): Direct<Refusal> => ({
    answerUnsafe: (done) => {
      const name = streamName(request.parameter)
      if (Exit.isFailure(name)) return done(Exit.failCause(name.cause))
      const mediaType = appendMediaType(request)
      if (Exit.isFailure(mediaType)) return done(Exit.failCause(mediaType.cause))
      const conditions = appendConditions(request)
      if (Exit.isFailure(conditions)) return done(Exit.failCause(conditions.cause))
      const parse = mediaType.value === "json" ? fromJsonBody : fromNdjsonBody
      const answer = whenDone(
        done,
        (appended: Appended) => done(Exit.succeed(toAnswer(name.value, mediaType.value, appended)))
      )

      const append = whenDone(done, (body: Uint8Array) => {
        const result = parse(body)
        if (Exit.isFailure(result)) return done(Exit.failCause(result.cause))
        const data = result.value
        const by = callerOf(request)
        manager.appendUnsafe(name.value, { ...conditions.value, data, by }, (exit) => {
          if (!isMismatch(exit)) return answer(exit)
          // A stream of bytes accepts JSON data that stands for bytes.
          toBytes(data, (bytes) => {
            if (bytes === undefined) answer(exit)
            else manager.appendUnsafe(name.value, { ...conditions.value, data: bytes, by }, answer)
          })
        })
      })

      request.bodyUnsafe(bodyBytesMax, append)
    }
  })

const isMismatch = (exit: Exit.Exit<Appended, Refusal>): boolean =>
  Exit.isFailure(exit) && Option.exists(Exit.findErrorOption(exit), ({ _tag }) => _tag === "ContentTypeMismatch")

const toAnswer = (name: StreamName, mediaType: "json" | "ndjson", appended: Appended): Answer => {
  const answer = appended.producer?.repeated === true
    ? json(200, repeatedText(name, appended, appended.producer))
    : json(201, mediaType === "json" ? onlyEvent(appended) : countText(name, appended))
  return appended.producer === undefined && !appended.closed
    ? answer
    : { ...answer, headers: { ...answer.headers, ...appendedHeaders(appended) } }
}

const onlyEvent = ({ events: { bytes, ends, starts } }: Appended): Uint8Array => bytes.subarray(starts[0], ends[0])

const countText = (name: StreamName, { events, tail }: Appended): string =>
  JSON.stringify({
    eventStreamId: name,
    count: events.count,
    offset: toOffset(events.first),
    nextOffset: toOffset(tail)
  })

/** The answer to a repeated append shows no event: the stream does not keep which event it was. */
const repeatedText = (name: string, { tail }: Appended, { epoch, seq }: NonNullable<Appended["producer"]>): string =>
  JSON.stringify({ eventStreamId: name, repeated: true, producer: { epoch, seq }, nextOffset: toOffset(tail) })
