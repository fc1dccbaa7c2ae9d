/**
 * The published events and their deliveries. Every follower of a stream must receive every event of it once, and all
 * followers in the same order; anything else is an error, which ends the run. Every event has a sequence number. The
 * ledger keeps its sending time, so both times of a delivery's latency come from the clock of one process.
 */
export class Ledger {
  /** The number of events on their way to at least one follower. */
  outstanding = 0
  delivered = 0
  readonly #sentAt: Array<number> = []
  /** The number of followers that have not received the event, for each event. */
  readonly #missing: Array<number> = []
  #latencies: Array<number> = []
  #wrong: Error | undefined
  #changed: () => void = nothing

  /** Notes that the next event goes to `followers` followers. Returns its number. */
  send(followers: number): number {
    this.outstanding++
    this.#missing.push(followers)
    return this.#sentAt.push(performance.now()) - 1
  }

  deliver(stream: Order, position: number, sequence: number): void {
    const known = stream.order[position]
    if (known === undefined) {
      if (stream.placed.has(sequence)) return this.fail(`Event ${sequence} was delivered twice.`)
      if (this.#missing[sequence] === undefined) return this.fail(`Event ${sequence} was never published.`)
      stream.order.push(sequence)
      stream.placed.add(sequence)
    } else if (known !== sequence) {
      return this.fail(`A follower was given event ${sequence} where others were given ${known}.`)
    }
    this.#latencies.push(performance.now() - this.#sentAt[sequence]!)
    this.delivered++
    if (--this.#missing[sequence]! === 0) {
      this.outstanding--
      this.#changed()
    }
  }

  fail(what: string): void {
    this.#wrong ??= new Error(what)
    this.#changed()
  }

  /** Waits until fewer than `count` events are on their way. */
  async fewerThan(count: number): Promise<void> {
    // Longer than any working server needs; a delivery that is missing by then is lost.
    const timer = setTimeout(() => {
      const lost = this.#missing.reduce((sum, missing) => sum + missing, 0)
      this.fail(`${lost} deliveries of ${this.outstanding} events did not come within 20 s.`)
    }, 20_000)
    while (this.#wrong === undefined && this.outstanding >= count) {
      await new Promise<void>((resolve) => this.#changed = resolve)
    }
    clearTimeout(timer)
    if (this.#wrong !== undefined) throw this.#wrong
  }

  /** Returns the latencies since the last call, in milliseconds. */
  take(): Float64Array {
    const taken = Float64Array.from(this.#latencies)
    this.#latencies = []
    return taken
  }
}

/** The order of a stream's events, as their first receivers got them. */
export class Order {
  readonly order: Array<number> = []
  readonly placed = new Set<number>()
}

const nothing = (): void => undefined
