/**
 * The metrics of streams: `durable_streams_appends`, `durable_streams_events` and `durable_streams_event_bytes`. Each is
 * counted when its commit is durable; an append that was only a repetition counts as none.
 */
import { Context, Effect, type Scope } from "effect"
import { registerCounter } from "../domain/metrics.ts"
import type { EventBlock } from "../domain/types.ts"

/** The counts of all streams of one manager. */
export class StreamCounts {
  #appends = 0
  #events = 0
  #bytes = 0

  addAppends(count: number): void {
    this.#appends += count
  }

  addEvents({ bytes, count }: EventBlock): void {
    this.#events += count
    this.#bytes += bytes.length
  }

  /** Registers the metrics until the scope closes. */
  readonly register: Effect.Effect<void, never, Scope.Scope> = Effect.gen({ self: this }, function*() {
    yield* registerCounter({ name: "appends", description: "Appends that were made durable" }, () => this.#appends)
    yield* registerCounter({ name: "events", description: "Events that were made durable" }, () => this.#events)
    yield* registerCounter(
      { name: "event_bytes", description: "Bytes of these events, as readers get them" },
      () => this.#bytes
    )
  })
}

/** Provided by the manager; the streams of a program without a manager share the default. */
export const CurrentStreamCounts = Context.Reference<StreamCounts>(
  "durable-streams/stream/metrics/CurrentStreamCounts",
  { defaultValue: () => new StreamCounts() }
)
