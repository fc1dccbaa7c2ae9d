/**
 * How a request to a server ends other than well, and how that is told. Browser-safe.
 */
import { Data, Effect, Option, Runtime, Schema } from "effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { exitCodes } from "../domain/exit-codes.ts"
import { mediaType } from "../domain/types.ts"
import { AnswerUnusable, refusalBytesMax, textOf } from "./answer-bounds.ts"

/** Nobody answers at this address, or not to the end. */
export class ServerUnreachable extends Data.TaggedError("ServerUnreachable")<{
  readonly url: string
  readonly cause: unknown
}> {
  override readonly [Runtime.errorExitCode] = exitCodes.unreachable

  override get message() {
    if (isCausedBy(this.cause, "ECONNRESET", "EPIPE")) {
      return `The server at ${this.url} broke off before it had answered. What was asked of it may have been done, or not.`
    }
    const fault = faultOfConnection(this.cause)
    if (fault !== undefined) return `What answers at ${this.url} ${fault}. Check the address (DURABLE_STREAMS_URL).`
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

/** Why a connection was of no use, if that is known: the rest of a sentence about the one who answers. */
const faultOfConnection = (error: unknown): string | undefined => {
  if (error === "silent") return "takes longer than any server of this kind; what was asked may have been done, or not"
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = "code" in cause ? String(cause.code) : ""
    if (code.startsWith("HPE_")) return "does not speak HTTP, or says more in front of its answer than may be"
    if (/CERT|ERR_TLS/.test(code)) return `shows a certificate that is not trusted here (${code})`
    if (/^ERR_SSL|^EPROTO/.test(code)) return "does not speak HTTPS"
  }
  return undefined
}

export type ClientError = ServerUnreachable | ServerRefused | AnswerUnusable

/** Who answered is the server of another data directory: nothing was done, and one's own is to be looked for again. */
export const isOther = (error: unknown): boolean => error instanceof ServerRefused && error.status === 421

/** Sends nothing on its own accord to another address, and takes no answer that came in a form nobody asked for. */
export const accepted = (
  response: HttpClientResponse.HttpClientResponse,
  base: string
): Effect.Effect<HttpClientResponse.HttpClientResponse, ServerRefused | AnswerUnusable> => {
  const { headers, status } = response
  if (status >= 400) return refused(response)
  if (status >= 300) {
    const location = (headers["location"] ?? "nowhere").slice(0, locationCharactersMax)
    const problem = `sends elsewhere: ${location} (${status}). No redirect is followed; ` +
      "if that is the server, name its address in DURABLE_STREAMS_URL."
    return Effect.fail(new AnswerUnusable({ url: base, problem }))
  }
  const coding = headers["content-encoding"]
  if (coding !== undefined && coding !== "identity") {
    return Effect.fail(
      new AnswerUnusable({ url: base, problem: `compresses what it was asked to send as it is. ${ask}` })
    )
  }
  return Effect.succeed(response)
}

/** Lets only an answer of this media type pass: a portal or a proxy may answer with a page. */
export const ofType = (type: string, base: string) =>
(
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<HttpClientResponse.HttpClientResponse, AnswerUnusable> => {
  const sent = response.headers["content-type"]
  // One without a type is judged by what it says.
  if (sent === undefined || mediaType(sent) === type) return Effect.succeed(response)
  const problem = `is no Durable Streams server: it sends ${sent.slice(0, 100)}, not ${type}. ${ask}`
  return Effect.fail(new AnswerUnusable({ url: base, problem }))
}

/** The answer is of the right type and says something else. */
export const strange = (base: string): AnswerUnusable =>
  new AnswerUnusable({ url: base, problem: `does not say what a Durable Streams server says. ${ask}` })

/** The answer, or an event in it, is larger than one of ours can be. */
export const tooLarge = (base: string): AnswerUnusable =>
  new AnswerUnusable({ url: base, problem: `sends more than an answer or an event can hold. ${ask}` })

const ask = "Check the address (DURABLE_STREAMS_URL), and what stands in between."

/** Enough to recognise an address. */
const locationCharactersMax = 300

/** The answer as the problem that it tells. */
const refused = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<never, ServerRefused> =>
  Effect.flatMap(
    Effect.orElseSucceed(
      textOf(response, refusalBytesMax, () => undefined, () => undefined),
      () => ""
    ),
    (text) => Effect.fail(problemOf(text, response.status))
  )

/** A problem in its own words. */
export const problemOf = (text: string, status = 500): ServerRefused => {
  const problem = Option.getOrElse(
    Schema.decodeOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json)))(text),
    () => ({} as Readonly<Record<string, unknown>>)
  )
  return new ServerRefused({
    status: typeof problem["status"] === "number" ? problem["status"] : status,
    message: typeof problem["detail"] === "string"
      ? problem["detail"].slice(0, detailCharactersMax)
      : `The server answered ${status}.`,
    problem
  })
}

/** A sentence of ours with the longest names in it is shorter. */
const detailCharactersMax = 4096
