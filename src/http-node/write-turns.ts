/**
 * How much the server writes to followers before it serves others. One large event for a thousand followers is a gigabyte
 * that the system copies: the server writes it in several turns of the event loop.
 */

/** The system copies so much in some 15 ms. With less, followers fall behind, and each reads large events for itself. */
const turnBytesMax = 32 * 1024 * 1024

export class WriteTurns {
  #bytes = 0
  #isScheduled = false
  #waiting = new Set<() => void>()

  /** Whether this turn has had its bytes: the next write must `wait`. */
  get isOver(): boolean {
    return this.#bytes >= turnBytesMax
  }

  /** Counts bytes that were written in this turn. */
  add(bytes: number): void {
    this.#bytes += bytes
    this.#schedule()
  }

  /** Calls `go` in a later turn, once. */
  wait(go: () => void): void {
    this.#waiting.add(go)
    this.#schedule()
  }

  /** Takes the call back. */
  leave(go: () => void): void {
    this.#waiting.delete(go)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#bytes = 0
      const waiting = this.#waiting
      this.#waiting = new Set()
      // Those that find the turn over wait again, behind one another as before.
      for (const go of waiting) go()
    })
  }
}
