/**
 * What streams have to be after what was asked of them in this order, by the model of the protocol's tests.
 */
import { EventData } from "../../src/event/event-data.ts"
import type { AppendRequest } from "../../src/stream/durable-stream.ts"
import { ModelStream } from "../support/stream-model.ts"
import type { Append, Ask } from "./stream-history.ts"

interface Expected {
  readonly stream: ModelStream
  /** The producer's number that closed it, as text. */
  closedBy: string | undefined
}

export class ExpectedStreams {
  readonly #streams = new Map<number, Expected>()
  readonly #requests = new WeakMap<ReadonlyArray<string>, AppendRequest>()

  /** The numbers are steps from what is so when it is sent. */
  requestOf({ close, ifMatch, producer, slot }: Append, data: ReadonlyArray<string>): AppendRequest {
    const stream = this.#streams.get(slot)?.stream
    const request: AppendRequest = {
      data: data.map((text) => EventData.fromText(text)),
      close,
      ifMatch: ifMatch === undefined ? undefined : this.unitsOf(slot).length + ifMatch,
      producer: producer === undefined
        ? undefined
        : numberOf(producer, stream?.producers.get(producer.id) ?? { epoch: 0, seq: -1 })
    }
    this.#requests.set(data, request)
    return request
  }

  /** Does what was asked, in its turn, and says what the answer is: "ok", "repeated", or the error's name. */
  apply(ask: Ask, data: ReadonlyArray<string>): string {
    const { slot } = ask
    const there = this.#streams.get(slot)
    if (ask.kind === "delete") return this.#streams.delete(slot) ? "ok" : "StreamNotFound"
    if (ask.vetoed) return "HookError"
    const { close, ifMatch, producer } = this.#requests.get(data)!
    const number = producer === undefined ? undefined : JSON.stringify(producer)
    if (there?.stream.closed === true) {
      return number !== undefined && number === there.closedBy ? "repeated" : "StreamClosed"
    }
    const now = there ?? { stream: ModelStream.made(true, false, []), closedBy: undefined }
    if (producer !== undefined) {
      const verdict = now.stream.judge(producer.id, producer.epoch, producer.seq)
      if (verdict !== 200) return verdicts[verdict]
    }
    if (ifMatch !== undefined && ifMatch !== now.stream.units.length) return "TailMismatch"
    if (producer !== undefined) now.stream.producers.set(producer.id, { epoch: producer.epoch, seq: producer.seq })
    now.stream.append(data)
    now.stream.closed = close === true
    if (close === true) now.closedBy = number
    this.#streams.set(slot, now)
    return "ok"
  }

  /** Its events' data; none where it is not there. */
  unitsOf(slot: number): ReadonlyArray<unknown> {
    return this.#streams.get(slot)?.stream.units ?? []
  }

  /** What its log holds: data and state. */
  contentsOf(slot: number) {
    const there = this.#streams.get(slot)
    if (there === undefined) return undefined
    const { closedBy, stream } = there
    const state: Array<readonly [string, unknown]> = []
    for (const [id, { epoch, seq }] of stream.producers) state.push([`producer:${id}`, [epoch, seq]])
    if (stream.closed) state.push(["closed", closedBy === undefined ? true : closing(JSON.parse(closedBy))])
    return { units: [...stream.units], state: Object.fromEntries(state) }
  }
}

const numberOf = (
  { epoch, id, seq }: NonNullable<Append["producer"]>,
  known: { readonly epoch: number; readonly seq: number }
) => ({
  id,
  epoch: Math.max(0, known.epoch + epoch),
  // Most new epochs begin as they should.
  seq: Math.max(0, epoch > 0 ? seq - 1 : known.seq + seq)
})

/** As it stands in the state (docs/storage-format.md 4). */
const closing = ({ epoch, id, seq }: { readonly epoch: number; readonly id: string; readonly seq: number }) => ({
  producer: id,
  epoch,
  seq
})

const verdicts = { 204: "repeated", 400: "InvalidRequest", 403: "ProducerFenced", 409: "ProducerGap" } as const
