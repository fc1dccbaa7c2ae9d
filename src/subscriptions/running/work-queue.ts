/**
 * A queue of work that thousands of subscriptions may add at the same moment, because they read the same stream or were made
 * together. Each turn of the process begins a little of it, in order; the server answers others in between.
 */
import { Effect } from "effect"

export class WorkQueue {
  #waiting: Array<Effect.Effect<void>> = []
  #next = 0
  #isGoing = false
  readonly #fork: (effect: Effect.Effect<void>) => unknown

  /** `fork` starts a fiber that ends with the server at the latest. */
  constructor(fork: (effect: Effect.Effect<void>) => unknown) {
    this.#fork = fork
  }

  /** Begins the work soon, in a fiber of its own. It does not wait and does not fail. */
  add(work: Effect.Effect<void>): void {
    this.#waiting.push(work)
    if (this.#isGoing) return
    this.#isGoing = true
    this.#fork(this.#goOn)
  }

  readonly #goOn = Effect.gen({ self: this }, function*() {
    while (this.#next < this.#waiting.length) {
      yield* Effect.yieldNow
      const end = Math.min(this.#next + begunAtOnce, this.#waiting.length)
      while (this.#next < end) this.#fork(this.#waiting[this.#next++]!)
    }
    this.#waiting = []
    this.#next = 0
    this.#isGoing = false
  })
}

/** A transition takes some fifty microseconds, so a turn takes about a millisecond. */
const begunAtOnce = 20
