/**
 * The protocol's headers: what requests say, checked, and what answers tell of a stream (docs/protocol.md 8, 10, 11).
 */
import { DateTime, Effect, Option } from "effect"
import type { ProducerNumber, StreamInfo } from "../durable-streams/durable-stream.ts"
import { InvalidRequest, UnsupportedMediaType } from "../durable-streams/errors.ts"
import { toOffset } from "../durable-streams/types.ts"
import type { Incoming } from "../web/exchange.ts"

const invalid = (message: string) => Effect.fail(new InvalidRequest({ message }))

const show = (text: string) => JSON.stringify(text.slice(0, 60))

/** Every other value counts as none (PROTOCOL 4.1). */
export const closesStream = (request: Incoming): boolean => request.header("stream-closed")?.toLowerCase() === "true"

/** The media type that is sent; undefined when none is. */
export const sentType = (request: Incoming): Effect.Effect<string | undefined, InvalidRequest> => {
  const type = request.header("content-type")
  if (type === undefined || type === "") return Effect.undefined
  return /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[\t ]*(?:;[\t\x20-\x7e]*)?$/.test(type)
    ? Effect.succeed(type)
    : invalid(`The Content-Type ${show(type)} is none: send type/subtype.`)
}

/** Whoever reads a stream is not told of an encoding: bodies are kept as they are meant. */
export const unencoded = (request: Incoming): Effect.Effect<void, UnsupportedMediaType> =>
  (request.header("content-encoding") ?? "identity").toLowerCase() === "identity"
    ? Effect.void
    : Effect.fail(new UnsupportedMediaType({ message: "Send the body without Content-Encoding." }))

/** A number in decimal, without sign or leading zeros, that is exact in every client. */
const wholeNumber = (text: string): number | undefined => {
  const number = /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(number) ? number : undefined
}

/** The value of a header that is a whole number; undefined when it is not there. */
export const countHeader = (request: Incoming, name: string): Effect.Effect<number | undefined, InvalidRequest> => {
  const text = request.header(name.toLowerCase())
  if (text === undefined) return Effect.undefined
  const number = wholeNumber(text)
  return number === undefined
    ? invalid(`The ${name} ${show(text)} is none: send a whole number, 0 to 2^53-1, without sign or leading zeros.`)
    : Effect.succeed(number)
}

/** `Producer-Id`, `Producer-Epoch` and `Producer-Seq`: all three, or none. */
export const producerNumber = Effect.fnUntraced(function*(request: Incoming) {
  const id = request.header("producer-id")
  const epoch = yield* countHeader(request, "Producer-Epoch")
  const seq = yield* countHeader(request, "Producer-Seq")
  if (id === undefined && epoch === undefined && seq === undefined) return undefined
  if (id === undefined || id === "" || epoch === undefined || seq === undefined) {
    return yield* invalid("Send Producer-Id (not empty), Producer-Epoch and Producer-Seq together, or none of them.")
  }
  return { id, epoch, seq } satisfies ProducerNumber
})

/** When the stream is to expire: one way, or none. */
export const lifetime = Effect.fnUntraced(function*(request: Incoming) {
  const ttlSeconds = yield* countHeader(request, "Stream-TTL")
  const expiresAt = request.header("stream-expires-at")
  if (expiresAt === undefined) return { ttlSeconds, expiresAt }
  if (ttlSeconds !== undefined) return yield* invalid("Send Stream-TTL or Stream-Expires-At, not both.")
  const isTime = rfc3339.test(expiresAt) && Option.isSome(DateTime.make(expiresAt))
  return isTime
    ? { ttlSeconds, expiresAt }
    : yield* invalid(`The Stream-Expires-At ${show(expiresAt)} is none: send RFC 3339 (2026-01-08T09:00:00Z).`)
})

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/

/** Where a stream stands: its tail, and whether that is its end. */
export const placeHeaders = (tail: number, closed: boolean): Record<string, string> =>
  closed
    ? { "stream-next-offset": toOffset(tail), "stream-closed": "true" }
    : { "stream-next-offset": toOffset(tail) }

/** All that is told of a stream without its events. */
export const infoHeaders = ({ closed, description, tail }: StreamInfo): Record<string, string> => {
  const headers = placeHeaders(tail, closed)
  headers["content-type"] = description.contentType
  if (description.ttlSeconds !== undefined) headers["stream-ttl"] = `${description.ttlSeconds}`
  if (description.expiresAt !== undefined) headers["stream-expires-at"] = description.expiresAt
  return headers
}

/** What this server adds to the protocol. */
export const extensions = { "stream-extensions": "limit, tail, since, last-event-id, ping, if-match" }
