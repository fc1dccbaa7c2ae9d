/**
 * The making of a subscription: it listens, looks at the streams that it reads, and is written as a log. A request for one
 * that is there confirms it, if it asks for the same configuration.
 */
import { DateTime, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { fixedLimits } from "../../domain/limits.ts"
import { createLog } from "../../storage/state-log.ts"
import type { StateChange } from "../../storage/storage.ts"
import { SubscriptionExists, TooManySubscriptions } from "../machine/refusals.ts"
import type { Config, Subscription } from "../machine/subscription.ts"
import { apply, newSubscription } from "../machine/subscription.ts"
import { Draft } from "../machine/transition-draft.ts"
import { linkByGlob, linkExplicitly } from "../machine/transitions.ts"
import { onlyNews } from "../machine/wake-cycle.ts"
import type { Life, Runner, TransitionFailed } from "./runner.ts"
import type { Workshop } from "./runners.ts"
import { tooManyStreams } from "./runners.ts"
import { baseEntry, configEntries, toStateChanges } from "./state-codec.ts"

const { linksMax, subscriptionsMax } = fixedLimits

export interface Made {
  /** False: it was there already. */
  readonly made: boolean
  readonly subscription: Subscription
}

/** A request to make a subscription. */
interface Making {
  readonly id: string
  readonly config: Config
  /** The hash of the configuration. */
  readonly hash: string
  /** The server's address as the client reached it. */
  readonly base: string
}

/** Makes the subscription, or confirms it. */
export const put = (workshop: Workshop, making: Making): Effect.Effect<Made, TransitionFailed> =>
  Effect.suspend(() => {
    const { runners } = workshop
    const known = runners.get(making.id)
    if (known === undefined && runners.size >= subscriptionsMax) return Effect.fail(tooManySubscriptions)
    const runner = known ?? runners.add(making.id)
    return runner.lock.withPermit(Effect.suspend((): Effect.Effect<Made, TransitionFailed> => {
      if (runner.damage !== undefined) return Effect.fail(runner.damage.error)
      if (runner.life !== undefined) return confirm(runner, runner.life, making)
      // It was deleted, or could not be made, while this request waited.
      return runners.get(making.id) === runner ? make(workshop, runner, making) : put(workshop, making)
    }))
  })

const make = Effect.fnUntraced(function*(workshop: Workshop, runner: Runner, making: Making) {
  const { logs, lookup, shared, storage } = workshop
  const { base, config, hash, id } = making
  // It listens first, so that no append falls between looking and linking.
  runner.listen(config, config.streams)
  const named = yield* lookup.all(config.streams)
  const matching = yield* findMatching(workshop, runner, config)
  if (named.size + matching.length > linksMax) return yield* tooManyStreams
  const meant = yield* lookup.all(matching)
  const createdAt = DateTime.formatIso(yield* DateTime.now)
  const life = randomUUID()
  const draft = new Draft(newSubscription(id, life, createdAt, config), yield* shared.moment)
  linkExplicitly(named, runner.matches)(draft)
  linkByGlob(meant)(draft)
  const state = [...configEntries(config, hash, base), ...toStateChanges(draft, new Map())]
  return yield* Effect.uninterruptible(
    Effect.map(createLog(storage, logs, { id, life, createdAt }, state), (log): Made => {
      runner.life = { state: apply(draft.from, draft), log, hash, base }
      runner.endCatchUp()
      runner.kick()
      return { made: true, subscription: runner.life.state }
    })
  )
}, (making, { runners }, runner, { config, id }) =>
  Effect.onError(making, () =>
    Effect.sync(() => {
      runner.leave(config, config.streams)
      runners.delete(id)
    })))

/** The names that the pattern means: one more than a subscription can read, at most. */
const findMatching = Effect.fnUntraced(function*(workshop: Workshop, runner: Runner, { pattern }: Config) {
  const matching: Array<string> = []
  if (pattern === undefined) return matching
  for (const [i, name] of (yield* workshop.names).entries()) {
    // Each is less than a tenth of a millisecond, and usually a hundredth of that.
    if (i % 50 === 49) yield* Effect.yieldNow
    if (runner.matches(name)) matching.push(name)
    if (matching.length > linksMax) break
  }
  return matching
})

const confirm = Effect.fnUntraced(function*(runner: Runner, life: Life, { base, hash }: Making) {
  if (life.hash !== hash) {
    return yield* new SubscriptionExists()
  }
  const news: ReadonlyArray<StateChange> = life.base === base ? [] : [baseEntry(base)]
  yield* Effect.uninterruptible(runner.transition(onlyNews, undefined, news))
  life.base = base
  return { made: false, subscription: life.state }
})

const tooManySubscriptions = new TooManySubscriptions({
  message: `This server has ${subscriptionsMax} subscriptions, which is as many as it keeps.`
})
