/**
 * The protocol's headers: those of requests, checked, and those of answers about a stream (docs/protocol.md 8, 10, 11).
 */
import { Effect, Exit } from "effect"
import type { InvalidRequest } from "../domain/errors.ts"
import { rfc3339Millis } from "../domain/rfc3339.ts"
import type { Incoming } from "../http/exchange.ts"
import { placeHeaders } from "../stream-http/append-headers.ts"
import { countHeader, invalid, keptHeader, show } from "../stream-http/request-parameters.ts"
import type { StreamInfo } from "../stream/durable-stream.ts"

/** Type and subtype have at most 127 bytes each (RFC 6838 4.2), and parameters are few; the log's first line has all of it. */
const typeBytesMax = 1_024

/** The media type that the request names; undefined when it names none. */
export const sentType = (request: Incoming): Exit.Exit<string | undefined, InvalidRequest> => {
  const sent = keptHeader(request, "Content-Type", typeBytesMax)
  if (Exit.isFailure(sent)) return sent
  const type = sent.value
  if (type === undefined || type === "") return Exit.succeed(undefined)
  return /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[\t ]*(?:;[\t\x20-\x7e]*)?$/.test(type)
    ? Exit.succeed(type)
    : invalid(`The Content-Type ${show(type)} is none: send type/subtype.`)
}

/** The time when the stream expires: as one header, or none. */
export const lifetime = Effect.fnUntraced(function*(request: Incoming) {
  const ttlSeconds = yield* countHeader(request, "Stream-TTL")
  const expiresAt = request.header("stream-expires-at")
  if (expiresAt === undefined) return { ttlSeconds, expiresAt }
  if (ttlSeconds !== undefined) return yield* invalid("Send Stream-TTL or Stream-Expires-At, not both.")
  // The stream keeps the text: 9 digits are as fine as any clock, and bound its length.
  const isKept = !expiresAt.includes(" ") && !/\.\d{10}/.test(expiresAt)
  return isKept && rfc3339Millis(expiresAt) !== undefined
    ? { ttlSeconds, expiresAt }
    : yield* invalid(
      `The Stream-Expires-At ${show(expiresAt)} is none: send RFC 3339 (2026-01-08T09:00:00Z), ` +
        "with at most 9 digits behind the point."
    )
})

/** All headers that describe a stream. */
export const infoHeaders = ({ closed, description, tail }: StreamInfo): Record<string, string> => {
  const headers = placeHeaders(tail, closed)
  headers["content-type"] = description.contentType
  headers["stream-life"] = description.id
  if (description.ttlSeconds !== undefined) headers["stream-ttl"] = `${description.ttlSeconds}`
  if (description.expiresAt !== undefined) headers["stream-expires-at"] = description.expiresAt
  return headers
}

/** Names what this server adds to the protocol. */
export const extensions = { "stream-extensions": "limit, tail, since, last-event-id, ping, if-match, life" }
