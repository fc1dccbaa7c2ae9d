/**
 * Puts waiting appends together as one commit: each is judged in order as if the appends before it were durable, and the
 * events of the accepted ones get their offsets and their bytes. Pure: the writer writes the commit.
 */
import type { Exit } from "effect"
import type { EventBlock } from "../domain/types.ts"
import { jsonType } from "../domain/types.ts"
import { layOut, sliceBlock, toFrame } from "../event/event-block.ts"
import type { EventData } from "../event/event-data.ts"
import type { StateChange } from "../storage/storage.ts"
import type { Appended, AppendError, AppendRequest } from "./durable-stream.ts"
import type { Before, Situation } from "./judge-append.ts"
import { changesOf, judge } from "./judge-append.ts"
import { isClosed, knowsProducer } from "./stream-state.ts"

export interface WaitingAppend {
  readonly kind: "append"
  readonly request: AppendRequest
  /** About how many bytes the append will take in the log. */
  readonly bytes: number
  readonly done: (exit: Exit.Exit<Appended, AppendError>) => void
}

export interface Batch {
  /** Appends to be written, each with the offset of its first event and whether it leaves the stream closed. */
  readonly accepted: ReadonlyArray<readonly [entry: WaitingAppend, first: number, closed: boolean]>
  /** Appends with nothing to write, given the appends before them in the batch: refused, or repeated. */
  readonly settled: ReadonlyArray<readonly [entry: WaitingAppend, exit: Exit.Exit<Appended, AppendError>]>
  readonly events: EventBlock
  readonly state: ReadonlyArray<StateChange>
  /** How many producers the batch names that the stream had not known. */
  readonly newProducers: number
}

/** `before` is the stream before the batch; `now` is the creation time of its events, as RFC 3339. */
export const toBatch = (before: Before, entries: ReadonlyArray<WaitingAppend>, now: string): Batch => {
  const { name, producersMax, state, tail } = before
  const accepted: Array<readonly [WaitingAppend, number, boolean]> = []
  const settled: Array<readonly [WaitingAppend, Exit.Exit<Appended, AppendError>]> = []
  const changes = new Map<string, string | undefined>()
  const data: Array<EventData> = []
  const situation: { -readonly [Key in keyof Situation]: Situation[Key] } = {
    name,
    contentType: before.contentType,
    description: before.description,
    tail,
    state: { get: (key: string) => changes.has(key) ? changes.get(key) : state.get(key) },
    producersMax,
    isFull: () => before.producers() + newProducers >= producersMax
  }
  let newProducers = 0
  for (const entry of entries) {
    const { request } = entry
    const answer = judge(request, situation)
    if (answer !== undefined) {
      settled.push([entry, answer])
      continue
    }
    const first = situation.tail
    for (const event of request.data) data.push(event)
    situation.tail += request.data.length
    if (request.producer !== undefined && !knowsProducer(situation.state, request.producer.id)) newProducers++
    for (const [key, value] of changesOf(request)) changes.set(key, value)
    // A stream that is created by an append is JSON: the protocol, which has other types, creates before it appends.
    situation.contentType ??= jsonType
    accepted.push([entry, first, isClosed(situation.state)])
  }
  return { accepted, settled, events: layOut(tail, data, toFrame(name, now)), state: [...changes], newProducers }
}

/** Gives all of them the same answer. */
export const answerAll = (entries: ReadonlyArray<WaitingAppend>, exit: Parameters<WaitingAppend["done"]>[0]): void => {
  for (const entry of entries) entry.done(exit)
}

/** Gives each settled append its answer. */
export const settle = ({ settled }: Batch): void => {
  for (const [entry, exit] of settled) entry.done(exit)
}

/** The answer to an accepted append when its commit is durable. */
export const answerOf = (
  { request: { data, producer } }: WaitingAppend,
  events: EventBlock,
  first: number,
  closed: boolean
): Appended =>
  new Accepted(
    events,
    first,
    first + data.length,
    closed,
    producer === undefined ? undefined : { epoch: producer.epoch, seq: producer.seq, repeated: false }
  )

/** Its events are cut out of the commit only when a caller asks for them: many callers do not. */
class Accepted implements Appended {
  readonly #commit: EventBlock
  readonly #first: number
  readonly tail: number
  readonly closed: boolean
  readonly producer: Appended["producer"]

  constructor(commit: EventBlock, first: number, tail: number, closed: boolean, producer: Appended["producer"]) {
    this.#commit = commit
    this.#first = first
    this.tail = tail
    this.closed = closed
    this.producer = producer
  }

  get events(): EventBlock {
    return sliceBlock(this.#commit, this.#first, this.tail - this.#first)
  }
}
