/**
 * What the headers of an append say besides its body, and what those of its answer tell (docs/protocol.md 3 and 11): the
 * same for both interfaces.
 */
import { Effect } from "effect"
import type { Appended, AppendRequest } from "./durable-stream.ts"
import type { InvalidRequest, UnsupportedMediaType } from "./errors.ts"
import type { Headers } from "./request-parameters.ts"
import { closesStream, ifMatch, producerHeaders, producerNumber, unencoded } from "./request-parameters.ts"
import { toOffset } from "./types.ts"

export type AppendConditions = Pick<AppendRequest, "ifMatch" | "producer" | "seq" | "close">

export const appendConditions = (
  request: Headers
): Effect.Effect<AppendConditions, InvalidRequest | UnsupportedMediaType> =>
  // Most appends have none.
  headers.every((name) => request.header(name) === undefined) ? unconditional : Effect.gen(function*() {
    yield* unencoded(request)
    return {
      ifMatch: yield* ifMatch(request.header("if-match")),
      producer: yield* producerNumber(request),
      seq: request.header("stream-seq"),
      close: closesStream(request)
    }
  })

const headers = [...producerHeaders, "content-encoding", "if-match", "stream-seq", "stream-closed"]

const unconditional = Effect.succeed<AppendConditions>({})

/** Where the stream stands behind an append, and what was accepted of its producer. */
export const appendedHeaders = ({ closed, producer, tail }: Appended): Record<string, string> => {
  const told = placeHeaders(tail, closed)
  if (producer === undefined) return told
  told["producer-epoch"] = `${producer.epoch}`
  told["producer-seq"] = `${producer.seq}`
  return told
}

/** Where a stream stands: its tail, and whether that is its end. */
export const placeHeaders = (tail: number, closed: boolean): Record<string, string> =>
  closed
    ? { "stream-next-offset": toOffset(tail), "stream-closed": "true" }
    : { "stream-next-offset": toOffset(tail) }
