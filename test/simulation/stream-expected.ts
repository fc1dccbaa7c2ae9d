/**
 * The expected streams after a sequence of requests, by the model of the protocol's tests.
 */
import { EventData } from "../../src/event/event-data.ts"
import type { AppendRequest } from "../../src/stream/durable-stream.ts"
import { ModelStream } from "../support/stream-model.ts"
import type { Append, Ask } from "./stream-history.ts"

interface Expected {
  readonly stream: ModelStream
  /** The producer's number that closed the stream, as text. */
  closedBy: string | undefined
}

export class ExpectedStreams {
  readonly #streams = new Map<number, Expected>()
  readonly #requests = new WeakMap<ReadonlyArray<string>, AppendRequest>()

  /** The request of an append. Its numbers are steps from the state at the time of sending. */
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

  /** Applies a request in its turn, and returns the expected answer: "ok", "repeated", or the error's name. */
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

  /** Returns the data of the stream's events; none if it does not exist. */
  unitsOf(slot: number): ReadonlyArray<unknown> {
    return this.#streams.get(slot)?.stream.units ?? []
  }

  /** Returns the expected contents of its log: data and state. */
  contentsOf(slot: number) {
    const there = this.#streams.get(slot)
    if (there === undefined) return undefined
    const { closedBy, stream } = there
    const state: Array<readonly [string, unknown]> = []
    for (const [id, { epoch, seq }] of stream.producers) state.push([`producer:${id}`, [epoch, seq]])
    if (stream.closed) state.push(["closed", closedBy === undefined ? true : toClosing(JSON.parse(closedBy))])
    return { units: [...stream.units], state: Object.fromEntries(state) }
  }
}

const numberOf = (
  { epoch, id, seq }: NonNullable<Append["producer"]>,
  known: { readonly epoch: number; readonly seq: number }
) => ({
  id,
  epoch: Math.max(0, known.epoch + epoch),
  // Most new epochs begin correctly, with number 0.
  seq: Math.max(0, epoch > 0 ? seq - 1 : known.seq + seq)
})

/** The closing entry, as the state holds it (docs/storage-format.md 4). */
const toClosing = ({ epoch, id, seq }: { readonly epoch: number; readonly id: string; readonly seq: number }) => ({
  producer: id,
  epoch,
  seq
})

const verdicts = { 204: "repeated", 400: "InvalidRequest", 403: "ProducerFenced", 409: "ProducerGap" } as const
