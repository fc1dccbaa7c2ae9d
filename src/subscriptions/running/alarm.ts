/**
 * An alarm that is set for one moment at a time: the end of a lease, the next retry, or the next attempt to commit.
 */
import { Effect, type Fiber } from "effect"

export class Alarm {
  #at: number | undefined
  #fiber: Fiber.Fiber<unknown> | undefined
  readonly #fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>
  readonly #ring: () => void

  /** `fork` starts a fiber that ends with the server at the latest. */
  constructor(fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>, ring: () => void) {
    this.#fork = fork
    this.#ring = ring
  }

  /** Sets it for this moment in milliseconds since 1970, in place of any other; undefined: it does not ring. */
  set(at: number | undefined, now: number): void {
    if (at === this.#at) return
    this.#fiber?.interruptUnsafe()
    this.#at = at
    this.#fiber = at === undefined ? undefined : this.#fork(
      Effect.andThen(Effect.sleep(Math.max(0, at - now)), () => {
        this.#at = undefined
        this.#fiber = undefined
        this.#ring()
        return Effect.void
      })
    )
  }

  stop(): void {
    this.set(undefined, 0)
  }
}
