/**
 * Counts the followers of each stream, and refuses those beyond the limit (docs/decisions/0010-limits.md).
 */
import { Context, Effect, Layer } from "effect"
import { Overloaded } from "../domain/errors.ts"
import { CurrentLimits } from "../domain/limits.ts"
import { registerGauge } from "../domain/metrics.ts"
import type { StreamName } from "../domain/types.ts"

/** The followers of this server. */
export class CurrentFollowers extends Context.Service<CurrentFollowers, Followers>()(
  "durable-streams/manager/followers/CurrentFollowers"
) {
  static readonly layer: Layer.Layer<CurrentFollowers> = Layer.effect(
    CurrentFollowers,
    Effect.gen(function*() {
      const followers = new Followers((yield* CurrentLimits).followersMax)
      yield* registerGauge({ name: "followers", description: "Followers of all streams" }, () => followers.size)
      return followers
    })
  )
}

export class Followers {
  readonly #max: number
  readonly #counts = new Map<StreamName, number>()
  #size = 0

  constructor(max: number) {
    this.#max = max
  }

  /** The followers of all streams together. */
  get size(): number {
    return this.#size
  }

  /** Takes a place until the scope closes. */
  enter(name: StreamName) {
    return Effect.acquireRelease(
      Effect.suspend(() => {
        const count = this.#counts.get(name) ?? 0
        if (count >= this.#max) return Effect.fail(this.#tooMany(name))
        this.#counts.set(name, count + 1)
        this.#size++
        return Effect.void
      }),
      () =>
        Effect.sync(() => {
          const count = this.#counts.get(name)! - 1
          if (count === 0) this.#counts.delete(name)
          else this.#counts.set(name, count)
          this.#size--
        })
    )
  }

  #tooMany(name: StreamName): Overloaded {
    return new Overloaded({
      message: `${JSON.stringify(name)} has ${this.#max} followers, as many as one stream may have at once. ` +
        "Try again later, or start the server with a larger --max-followers.",
      limit: this.#max
    })
  }
}
