/**
 * Parameters and headers of a request, checked: offsets, counts, times, media types. A value that is not exactly one of the
 * documented forms is refused, and the refusal names the forms. Functions that never wait return an `Exit`, which is an
 * effect, too.
 */
import { DateTime, Effect, Exit } from "effect"
import { durationMillis } from "../domain/durations.ts"
import { InvalidRequest, UnsupportedMediaType } from "../domain/errors.ts"
import { rfc3339Millis } from "../domain/rfc3339.ts"
import type { StreamName } from "../domain/types.ts"
import { isReserved, nameFault } from "../domain/types.ts"
import type { From, ProducerNumber } from "../stream/durable-stream.ts"

export const invalid = (message: string) => Exit.fail(new InvalidRequest({ message }))

/** Checks that a text from a request is the name of a stream, and of none of the server's own. */
export const streamName = (name: string): Exit.Exit<StreamName, InvalidRequest> => {
  if (isReserved(name)) return invalid("This is no stream name: names below __ds are reserved.")
  const fault = nameFault(name)
  return fault === undefined
    ? Exit.succeed(name as StreamName)
    : invalid(`This is no stream name: ${fault}. A name is 1 to 512 bytes of UTF-8 without control characters.`)
}

/** The one value of a parameter; undefined when the query has none. */
const single = (query: URLSearchParams, name: string): Effect.Effect<string | undefined, InvalidRequest> => {
  const values = query.getAll(name)
  return values.length > 1
    ? invalid(`The parameter ${name} stands twice; send it once.`)
    : Effect.succeed(values[0])
}

/**
 * Parses an offset of 1 to 16 digits; undefined when the text is none. No event is beyond the largest number that is exact,
 * and greater ones would be rounded up to 17 digits.
 */
const offsetNumber = (text: string): number | undefined =>
  /^\d{1,16}$/.test(text) ? Math.min(Number(text), Number.MAX_SAFE_INTEGER) : undefined

/** Parses a place as a request writes it. */
export const fromOffset = (text: string): Effect.Effect<From, InvalidRequest> => {
  if (text === "-1" || text === "beginning") return Effect.succeed("beginning")
  if (text === "now") return Effect.succeed("now")
  const offset = offsetNumber(text)
  return offset === undefined
    ? invalid(`The offset ${show(text)} is none: use -1 or beginning, now, or 1 to 16 digits.`)
    : Effect.succeed(offset)
}

export const offsetParameter = (query: URLSearchParams) =>
  Effect.flatMap(single(query, "offset"), (text) => text === undefined ? Effect.undefined : fromOffset(text))

export const textParameter = single

export const countParameter = (query: URLSearchParams, name: string) =>
  Effect.flatMap(single(query, name), (text) => {
    if (text === undefined) return Effect.undefined
    const count = /^\d{1,15}$/.test(text) ? Number(text) : 0
    return count > 0
      ? Effect.succeed(count)
      : invalid(`The ${name} ${show(text)} is none: use a whole number from 1 on.`)
  })

/** `since` as milliseconds since 1970. */
export const sinceParameter = (query: URLSearchParams) =>
  Effect.gen(function*() {
    // A `+` that was not escaped is a space in a query (WHATWG URL 5.1), and no time has a space before its zone.
    const text = (yield* single(query, "since"))?.replace(/ (?=\d\d:\d\d$)/, toPlus)
    if (text === undefined) return undefined
    const ago = durationMillis(text)
    if (ago !== undefined) return DateTime.toEpochMillis(yield* DateTime.now) - ago
    const time = rfc3339Millis(text)
    if (time !== undefined) return time
    return yield* invalid(
      `The time ${show(text)} is none: use RFC 3339 (2026-01-08T09:00:00Z) or a duration (90s, 10m, 1h30m, 2d).`
    )
  })

/** A space behind the date stands before the time, not before the zone. */
const toPlus = (space: string, at: number): string => at > "2026-01-08".length ? "+" : space

/** `Last-Event-ID`: the last event that the follower saw; -1 is the id of a frame that came before all events. */
export const lastEventId = (text: string): Effect.Effect<number, InvalidRequest> =>
  text === "-1" ? Effect.succeed(0) : Effect.map(lastEventOffset(text), (offset) => offset + 1)

/** `Last-Event-ID` when it is the next offset; -1 is the beginning. */
export const lastEventOffset = (text: string): Effect.Effect<number, InvalidRequest> => {
  const offset = text === "-1" ? 0 : offsetNumber(text)
  return offset === undefined
    ? invalid(`The Last-Event-ID ${show(text)} is no offset: it has 1 to 16 digits.`)
    : Effect.succeed(offset)
}

/** `If-Match`: the tail that the writer expects, bare or as an entity tag. */
export const ifMatch = (text: string | undefined): Exit.Exit<number | undefined, InvalidRequest> => {
  if (text === undefined) return Exit.succeed(undefined)
  const offset = offsetNumber(/^"(.*)"$/.exec(text)?.[1] ?? text)
  return offset === undefined
    ? invalid(`If-Match ${show(text)} is no offset: send the expected tail, 1 to 16 digits.`)
    : Exit.succeed(offset)
}

/** A request's headers, by lower-case name. */
export interface Headers {
  readonly header: (name: string) => string | undefined
}

/** The value of a header that is a whole number which every client holds exactly; undefined when the request has none. */
export const countHeader = (headers: Headers, name: string): Exit.Exit<number | undefined, InvalidRequest> => {
  const text = headers.header(name.toLowerCase())
  if (text === undefined) return Exit.succeed(undefined)
  const count = /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(count)
    ? Exit.succeed(count)
    : invalid(`The ${name} ${show(text)} is none: send a whole number, 0 to 2^53-1, without sign or leading zeros.`)
}

/** The value of a header that the stream keeps, and so has a limit. Its characters are bytes. */
export const keptHeader = (
  headers: Headers,
  name: string,
  bytesMax: number
): Exit.Exit<string | undefined, InvalidRequest> => {
  const text = headers.header(name.toLowerCase())
  return text === undefined || text.length <= bytesMax
    ? Exit.succeed(text)
    : invalid(`The ${name} has ${text.length} bytes; send at most ${bytesMax}.`)
}

/**
 * The limit is that of a stream's name. Ten thousand producers of one stream make a state of at most 11 MB; the log has 8
 * digits for its size.
 */
const producerBytesMax = 512

/** `Producer-Id`, `Producer-Epoch` and `Producer-Seq`: all three, or none. */
export const producerNumber = (headers: Headers): Exit.Exit<ProducerNumber | undefined, InvalidRequest> => {
  if (producerHeaders.every((name) => headers.header(name) === undefined)) return Exit.succeed(undefined)
  const id = keptHeader(headers, "Producer-Id", producerBytesMax)
  if (Exit.isFailure(id)) return Exit.failCause(id.cause)
  // A writer with the server's own producer id could fence the server's wake events.
  if (isReserved(id.value ?? "")) return invalid("Producer ids below __ds are reserved: choose another Producer-Id.")
  const epoch = countHeader(headers, "Producer-Epoch")
  if (Exit.isFailure(epoch)) return Exit.failCause(epoch.cause)
  const seq = countHeader(headers, "Producer-Seq")
  if (Exit.isFailure(seq)) return Exit.failCause(seq.cause)
  return id.value === undefined || id.value === "" || epoch.value === undefined || seq.value === undefined
    ? invalid("Send Producer-Id (not empty), Producer-Epoch and Producer-Seq together, or none of them.")
    : Exit.succeed({ id: id.value, epoch: epoch.value, seq: seq.value })
}

export const producerHeaders = ["producer-id", "producer-epoch", "producer-seq"]

/** Whether `Stream-Closed` closes the stream: `true` does, any other value is ignored (PROTOCOL 4.1). */
export const closesStream = (headers: Headers): boolean => headers.header("stream-closed")?.toLowerCase() === "true"

const unsupported = (message: string) => Exit.fail(new UnsupportedMediaType({ message }))

/** Refuses an encoded body: answers do not name an encoding, so a reader could not decode it. */
export const checkEncoding = (headers: Headers): Exit.Exit<void, UnsupportedMediaType> =>
  (headers.header("content-encoding") ?? "identity").toLowerCase() === "identity"
    ? Exit.void
    : unsupported("Send the body without Content-Encoding.")

/** Which of the two forms the body of an append has. */
export const appendMediaType = (headers: Headers): Exit.Exit<"json" | "ndjson", UnsupportedMediaType> => {
  const [type = "", ...parameters] = (headers.header("content-type") ?? "").toLowerCase().split(";").map((part) =>
    part.trim()
  )
  if (parameters.some((parameter) => parameter.startsWith("charset=") && !/^charset="?utf-8"?$/.test(parameter))) {
    return unsupported("Send the body as UTF-8.")
  }
  if (type === "application/json") return Exit.succeed("json")
  if (type === "application/x-ndjson") return Exit.succeed("ndjson")
  return unsupported("Send Content-Type: application/json, or application/x-ndjson for several events.")
}

/** Quotes the value of a request in a refusal. */
export const show = (text: string) => JSON.stringify(text.slice(0, 60))
