/**
 * How one stream stands: its log while it is open, where its tail is, which of the name's lives this is, and who is there.
 * The stream's single writer changes it (stream.ts), readers look (stream-reads.ts).
 */
import { type Clock, Effect } from "effect"
import type { EventBlock } from "../domain/types.ts"
import type { Log } from "../storage/storage.ts"
import { Lifetime } from "./expiry.ts"
import { RecentEvents } from "./recent-events.ts"
import { Sleepers } from "./sleepers.ts"
import { countProducers, isClosed } from "./stream-state.ts"

export class Standing {
  /** Undefined: there is no stream. */
  log: Log | undefined
  tail = 0
  closed = false
  life = 0
  /** The log may be there or not, or hidden: that is not known before it was opened anew. */
  doubtful = false
  /** The log was taken away by hand, and may be put back. */
  vanished = false
  readonly recent = new RecentEvents()
  readonly sleepers = new Sleepers()
  readonly #clock: Clock.Clock
  #lifetime: Lifetime | undefined
  #readers = 0
  #producers: number | undefined

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  /** The log has been opened, or made. */
  opened(log: Log): void {
    this.log = log
    this.tail = log.tail
    this.closed = isClosed(log.state)
    this.vanished = false
    this.#lifetime = new Lifetime(log)
    this.#producers = undefined
  }

  /** A commit is durable, with so many producers that the stream had not known. */
  grown(log: Log, events: EventBlock, newProducers: number): void {
    this.tail += events.count
    this.closed = isClosed(log.state)
    this.recent.add(events)
    if (this.#producers !== undefined) this.#producers += newProducers
  }

  /** There is no stream any more. */
  reset(): void {
    this.log = undefined
    this.#lifetime = undefined
    this.#producers = undefined
    this.tail = 0
    this.closed = false
    this.beginLife()
  }

  /** Readers and followers are told that the life they know is over. */
  beginLife(): void {
    this.life++
    this.recent.clear()
    this.sleepers.wake()
  }

  /** How many producers the stream knows: counted once, and from then on with every commit. */
  producers(): number {
    return this.#producers ??= this.log === undefined ? 0 : countProducers(this.log.state)
  }

  /** Whether it has to be looked what there is of the stream, before anything is made of it. */
  get isUnknown(): boolean {
    return this.doubtful || (this.vanished && this.log === undefined)
  }

  /** The stream is used now. Answers whether that is worth a note. */
  use(): boolean {
    return this.#lifetime?.use(this.#clock) === true
  }

  /** A reader begins: the stream is in use until `stopReading`. */
  startReading(): void {
    this.#readers++
  }

  /** Answers what `use` does. */
  stopReading(): boolean {
    this.#readers--
    return this.use()
  }

  /** Notes when the stream was used, as far as that is not noted yet. */
  readonly note = Effect.suspend(() => this.#lifetime?.note ?? Effect.void)

  /** When its time has come: milliseconds since 1970, or never. */
  due(): number | undefined {
    return this.#lifetime?.due(this.#clock.currentTimeMillisUnsafe(), this.#isInUse)
  }

  isDue(): boolean {
    return this.#lifetime?.isDue(this.#clock, this.#isInUse) === true
  }

  get #isInUse(): boolean {
    return this.#readers > 0 || this.sleepers.size > 0
  }
}
