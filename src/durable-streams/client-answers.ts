/**
 * How a request to a server ends other than well, and how that is told. Browser-safe.
 */
import { Data, Effect, Option, Schema } from "effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"

/** Nobody answers at this address, or not to the end. */
export class ServerUnreachable extends Data.TaggedError("ServerUnreachable")<{
  readonly url: string
  readonly cause: unknown
}> {
  override get message() {
    if (isCausedBy(this.cause, "ECONNRESET", "EPIPE")) {
      return `The server at ${this.url} broke off before it had answered. What was asked of it may have been done, or not.`
    }
    return `No server answers at ${this.url}. Start one there, or check the address (DURABLE_STREAMS_URL).`
  }
}

/** The server answered with a problem (RFC 9457). */
export class ServerRefused extends Data.TaggedError("ServerRefused")<{
  readonly status: number
  /** The server's sentence. */
  readonly message: string
  /** The whole problem, where it was one. */
  readonly problem: Readonly<Record<string, unknown>>
}> {}

/** Whether the system's error behind this one has one of these codes (errno(3)). */
export const isCausedBy = (error: unknown, ...codes: ReadonlyArray<string>): boolean => {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && codes.includes(String(cause.code))) return true
  }
  return false
}

export type ClientError = ServerUnreachable | ServerRefused

/** Who answered is the server of another data directory: nothing was done, and one's own is to be looked for again. */
export const isOther = (error: unknown): boolean => error instanceof ServerRefused && error.status === 421

export const isAccepted = (response: HttpClientResponse.HttpClientResponse): boolean => response.status < 400

/** The answer as the problem that it tells. */
export const refused = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<never, ServerRefused> =>
  Effect.flatMap(
    Effect.orElseSucceed(response.text, () => ""),
    (text) => Effect.fail(problemOf(text, response.status))
  )

export const problemOf = (text: string, status = 500): ServerRefused => {
  const problem = Option.getOrElse(
    Schema.decodeOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json)))(text),
    () => ({} as Readonly<Record<string, unknown>>)
  )
  return new ServerRefused({
    status: typeof problem["status"] === "number" ? problem["status"] : status,
    message: typeof problem["detail"] === "string" ? problem["detail"] : `The server answered ${status}.`,
    problem
  })
}

/** A query, with its question mark, of those parameters that are given. */
export const queryOf = (parameters: object): string => {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== undefined) query.set(key, String(value))
  }
  return query.size === 0 ? "" : `?${query}`
}
