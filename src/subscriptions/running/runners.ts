/**
 * The runners of all subscriptions by their ids, and the parts to make them with.
 */
import { Effect, type Scope } from "effect"
import type { StorageError } from "../../domain/errors.ts"
import { fixedLimits } from "../../domain/limits.ts"
import type { StreamName } from "../../domain/types.ts"
import type { Storage } from "../../storage/storage.ts"
import { RequestInvalid } from "../machine/refusals.ts"
import type { Subscription } from "../machine/subscription.ts"
import type { Shared, TransitionFailed } from "./runner.ts"
import { noSubscription, Runner } from "./runner.ts"
import type { StreamLookup } from "./stream-lookup.ts"

/** The parts for the making, the linking and the opening of subscriptions. */
export interface Workshop {
  readonly storage: Storage["Service"]
  /** The scope of the open logs. */
  readonly logs: Scope.Scope
  /** The names of all streams. */
  readonly names: Effect.Effect<ReadonlyArray<StreamName>, StorageError>
  readonly lookup: StreamLookup
  readonly shared: Shared
  readonly runners: Runners
}

export class Runners {
  readonly #byId = new Map<string, Runner>()
  readonly #shared: Shared

  constructor(shared: Shared) {
    this.#shared = shared
  }

  get size(): number {
    return this.#byId.size
  }

  get(id: string): Runner | undefined {
    return this.#byId.get(id)
  }

  /** Adds a runner that has no life yet. */
  add(id: string): Runner {
    const runner = new Runner(id, this.#shared)
    this.#byId.set(id, runner)
    return runner
  }

  delete(id: string): void {
    this.#byId.delete(id)
  }

  /** The runner; refused if there is no such subscription. */
  find(id: string): Effect.Effect<Runner, TransitionFailed> {
    return Effect.suspend(() => {
      const runner = this.#byId.get(id)
      return runner === undefined ? Effect.fail(noSubscription) : Effect.succeed(runner)
    })
  }

  /** The state of the subscription; fails if it cannot be used. */
  findState(id: string): Effect.Effect<Subscription, TransitionFailed> {
    return Effect.flatMap(this.find(id), ({ damage, life }): Effect.Effect<Subscription, TransitionFailed> => {
      if (damage !== undefined) return Effect.fail(damage.error)
      return life === undefined ? Effect.fail(noSubscription) : Effect.succeed(life.state)
    })
  }
}

export const tooManyStreams = new RequestInvalid({
  message: `A subscription reads at most ${fixedLimits.linksMax} streams.`
})
