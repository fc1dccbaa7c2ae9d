/**
 * Which events were published and who has been given them. Whoever follows a stream must be given every event of it
 * once, and all in the same order; anything else is an error, which ends the run. Every event has a sequence number,
 * and its sending time is kept here, so that a delivery's latency is what passed between two clocks of one process.
 */
export class Ledger {
  /** Of events on their way to someone. */
  outstanding = 0
  delivered = 0
  readonly #sentAt: Array<number> = []
  /** How many followers still have to be given the event. */
  readonly #missing: Array<number> = []
  #latencies: Array<number> = []
  #wrong: Error | undefined
  #changed: () => void = nothing

  /** Notes that the next event goes to so many followers; answers with its number. */
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

  /** Waits until fewer events than so many are on their way. */
  async fewerThan(count: number): Promise<void> {
    // Longer than any server needs that still comes on; what is not there by then is lost.
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

  /** The latencies since they were last taken, in milliseconds. */
  take(): Float64Array {
    const taken = Float64Array.from(this.#latencies)
    this.#latencies = []
    return taken
  }
}

/** In which order a stream's events were given to whoever was given them first. */
export class Order {
  readonly order: Array<number> = []
  readonly placed = new Set<number>()
}

const nothing = (): void => undefined
