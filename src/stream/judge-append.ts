/**
 * Judges one append against the stream as it is when the append's turn comes (docs/protocol.md 3). The order of checks is
 * the protocol's: closing comes first, so that a writer learns of it even if its request has other faults.
 */
import { Exit } from "effect"
import {
  ContentTypeMismatch,
  InvalidRequest,
  PreconditionFailed,
  ProducerFenced,
  ProducerGap,
  SequenceRegression,
  StreamClosed,
  StreamNotFound,
  TailMismatch,
  TooManyProducers
} from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import { isJson, mediaType, toOffset } from "../domain/types.ts"
import { emptyBlock } from "../event/event-block.ts"
import type { StateChange } from "../storage/storage.ts"
import type { Appended, AppendError, AppendRequest, Condition, Found, ProducerNumber } from "./durable-stream.ts"
import type { StateView } from "./stream-state.ts"
import { accept, close, isClosed, isClosedBy, lastOf, lastSeq, setSeq } from "./stream-state.ts"

/** The stream as the append finds it. */
export interface Situation {
  readonly name: StreamName
  /** Undefined: there is no stream yet. */
  readonly contentType: string | undefined
  /** Undefined: there is no stream yet, or an append before this one makes it. */
  readonly description: Found["description"]
  readonly tail: number
  readonly state: StateView
  /** Whether the stream knows as many producers as the limit allows. */
  readonly isFull: () => boolean
  readonly producersMax: number
}

/** The stream before the batch. */
export interface Before extends Omit<Situation, "state" | "isFull"> {
  readonly state: ReadonlyMap<string, string>
  /** How many producers the stream knows. */
  readonly producers: () => number
}

/** Undefined: the append is accepted and must be written. Else there is nothing to write, and this is its answer. */
export const judge = (request: AppendRequest, situation: Situation): Exit.Exit<Appended, AppendError> | undefined => {
  const { contentType, name, state, tail } = situation
  const { data, ifMatch, onlyIf, producer, seq } = request
  if (contentType === undefined && request.mustExist === true) return Exit.fail(new StreamNotFound({ stream: name }))
  if (isClosed(state)) {
    if (producer !== undefined ? isClosedBy(state, producer) : data.length === 0) {
      return answerRepeated(tail, true, producer)
    }
    return Exit.fail(new StreamClosed({ stream: name, tail: toOffset(tail) }))
  }
  const wrongType = contentType !== undefined && data.length > 0 && !isTypeAccepted(contentType, request)
  if (wrongType) return Exit.fail(new ContentTypeMismatch({ stream: name, contentType }))
  if (producer !== undefined) {
    const verdict = judgeProducer(producer, situation)
    if (verdict !== undefined) return verdict
  }
  const last = seq === undefined ? undefined : lastSeq(state)
  if (last !== undefined && Buffer.compare(Buffer.from(seq!), Buffer.from(last)) <= 0) {
    return Exit.fail(new SequenceRegression({ stream: name, last }))
  }
  if (ifMatch !== undefined && ifMatch !== tail) {
    return Exit.fail(new TailMismatch({ stream: name, expected: toOffset(ifMatch), tail: toOffset(tail) }))
  }
  if (onlyIf === undefined) return undefined
  const { description } = situation
  const found = contentType === undefined ? undefined : { description, tail, closed: false }
  const unmet = judgeCondition(name, onlyIf, found)
  return unmet === undefined ? undefined : Exit.fail(unmet)
}

/** The refusal of a request whose condition on the stream, or on its absence, does not hold; undefined if it holds. */
export const judgeCondition = (
  name: StreamName,
  onlyIf: Condition | undefined,
  found: Found | undefined
): PreconditionFailed | undefined =>
  onlyIf === undefined || onlyIf(found)
    ? undefined
    : new PreconditionFailed({ stream: name, ...(found === undefined ? {} : { tail: toOffset(found.tail) }) })

/** The changes of the stream's state by an append that is accepted. */
export const changesOf = ({ close: closes, producer, seq }: AppendRequest): ReadonlyArray<StateChange> => {
  if (producer === undefined && seq === undefined && closes !== true) return none
  const changes: Array<StateChange> = []
  if (producer !== undefined) changes.push(accept(producer))
  if (seq !== undefined) changes.push(setSeq(seq))
  if (closes === true) changes.push(close(producer))
  return changes
}

const none: ReadonlyArray<StateChange> = []

/** Kafka's rule: numbers follow one another within an epoch, and a newer epoch begins at 0 and fences the older ones. */
const judgeProducer = (producer: ProducerNumber, { isFull, name, producersMax, state, tail }: Situation) => {
  const { epoch, id, seq } = producer
  const last = lastOf(state, id)
  if (last !== undefined && epoch < last.epoch) {
    return Exit.fail(new ProducerFenced({ stream: name, producer: id, epoch: last.epoch }))
  }
  if (last !== undefined && epoch > last.epoch && seq !== 0) {
    return Exit.fail(new InvalidRequest({ message: `A new epoch begins with sequence 0, not ${seq}.` }))
  }
  const expected = last === undefined || epoch > last.epoch ? 0 : last.seq + 1
  if (seq < expected) return answerRepeated(tail, false, { epoch, seq: expected - 1 })
  if (seq > expected) return Exit.fail(new ProducerGap({ stream: name, producer: id, expected, received: seq }))
  // No producer is forgotten for a new one: the events that the forgotten one sends again would be stored twice.
  if (last === undefined && isFull()) {
    return Exit.fail(new TooManyProducers({ stream: name, limit: producersMax }))
  }
  return undefined
}

/** The answer to an append that was accepted before. */
const answerRepeated = (
  tail: number,
  closed: boolean,
  producer: { readonly epoch: number; readonly seq: number } | undefined
) =>
  Exit.succeed<Appended>({
    events: emptyBlock(tail),
    tail,
    closed,
    producer: producer === undefined ? undefined : { epoch: producer.epoch, seq: producer.seq, repeated: true }
  })

/** Whether a stream of that type takes the data that is sent. */
const isTypeAccepted = (contentType: string, { contentType: sent, data }: AppendRequest): boolean => {
  if (sent !== undefined && sent !== contentType && mediaType(sent) !== mediaType(contentType)) return false
  const bytes = !isJson(contentType)
  for (const { isBytes } of data) {
    if (isBytes !== bytes) return false
  }
  return true
}
