/**
 * The headers of an append and of its answer (docs/protocol.md 3 and 11): the same for both interfaces.
 */
import { Exit } from "effect"
import type { InvalidRequest, UnsupportedMediaType } from "../domain/errors.ts"
import { toOffset } from "../domain/types.ts"
import type { Appended, AppendRequest } from "../stream/durable-stream.ts"
import { conditionOf } from "./preconditions.ts"
import type { Headers } from "./request-parameters.ts"
import {
  checkEncoding,
  closesStream,
  ifMatch,
  keptHeader,
  producerHeaders,
  producerNumber
} from "./request-parameters.ts"

export type AppendConditions = Pick<AppendRequest, "ifMatch" | "onlyIf" | "producer" | "seq" | "close">

/** The limit is that of a stream's name; a time, a counter or a ULID has some thirty bytes. */
const seqBytesMax = 512

export const appendConditions = (
  request: Headers
): Exit.Exit<AppendConditions, InvalidRequest | UnsupportedMediaType> => {
  // Most appends have none.
  if (headers.every((name) => request.header(name) === undefined)) return unconditional
  const encoding = checkEncoding(request)
  if (Exit.isFailure(encoding)) return Exit.failCause(encoding.cause)
  // An `If-Match` that names only the tail is a comparison of numbers.
  const match = request.header("if-match")
  const isTail = request.header("if-none-match") === undefined && (match === undefined || /^"?\d+"?$/.test(match))
  const onlyIf = isTail ? Exit.succeed(undefined) : conditionOf(request)
  if (Exit.isFailure(onlyIf)) return Exit.failCause(onlyIf.cause)
  const expected = ifMatch(isTail ? match : undefined)
  if (Exit.isFailure(expected)) return Exit.failCause(expected.cause)
  const seq = keptHeader(request, "Stream-Seq", seqBytesMax)
  if (Exit.isFailure(seq)) return Exit.failCause(seq.cause)
  const close = closesStream(request)
  return Exit.map(producerNumber(request), (producer) => ({
    ifMatch: expected.value,
    onlyIf: onlyIf.value,
    producer,
    seq: seq.value,
    close
  }))
}

const headers = [...producerHeaders, "content-encoding", "if-match", "if-none-match", "stream-seq", "stream-closed"]

const unconditional = Exit.succeed<AppendConditions>({})

/** The tail of the stream after an append, and the newest number that it has accepted from the producer. */
export const appendedHeaders = ({ closed, producer, tail }: Appended): Record<string, string> => {
  const place = placeHeaders(tail, closed)
  if (producer === undefined) return place
  place["producer-epoch"] = `${producer.epoch}`
  place["producer-seq"] = `${producer.seq}`
  return place
}

/** The offset that a reader has come to, often the stream's tail, and whether the stream ends there. */
export const placeHeaders = (tail: number, closed: boolean): Record<string, string> =>
  closed
    ? { "stream-next-offset": toOffset(tail), "stream-closed": "true" }
    : { "stream-next-offset": toOffset(tail) }
