/**
 * All subscriptions of this server: it makes, finds, changes and deletes them, and finds them again after a restart.
 */
import { Context, Effect, Exit, FiberSet, Layer, Scope } from "effect"
import type { KeyFailed } from "../data-directory/key-file.ts"
import type { StorageError } from "../domain/errors.ts"
import { fixedLimits } from "../domain/limits.ts"
import { nameFault } from "../domain/types.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import { Storage } from "../storage/storage.ts"
import { RequestInvalid } from "./machine/refusals.ts"
import { withoutEndSlashes } from "./machine/stream-names.ts"
import type { Config, Subscription } from "./machine/subscription.ts"
import { subjectOf } from "./machine/subscription.ts"
import { linkExplicitly } from "./machine/transitions.ts"
import type { Act } from "./machine/wake-cycle.ts"
import { onlyNews } from "./machine/wake-cycle.ts"
import { Interest } from "./running/interest.ts"
import { makeMomentSource } from "./running/moment-source.ts"
import type { Runner, Shared, TransitionFailed } from "./running/runner.ts"
import type { Workshop } from "./running/runners.ts"
import { Runners, tooManyStreams } from "./running/runners.ts"
import { openStored } from "./running/stored-subscriptions.ts"
import { goneNews, grownNews, madeNews, makeStreamLookup } from "./running/stream-lookup.ts"
import type { Made } from "./running/subscription-maker.ts"
import { put } from "./running/subscription-maker.ts"
import { makeWakeDelivery } from "./running/wake-delivery.ts"
import { WebhookCallsMax, WebhookQueue } from "./running/webhook-queue.ts"
import { WorkQueue } from "./running/work-queue.ts"
import { Keys } from "./webhook/keys.ts"
import { WebhookSender } from "./webhook/webhook-sender.ts"

export class Subscriptions extends Context.Service<Subscriptions, {
  /** Makes the subscription, or confirms one that is there, if its configuration has this hash. */
  put(id: string, config: Config, hash: string, base: string): Effect.Effect<Made, TransitionFailed>
  get(id: string): Effect.Effect<Subscription, TransitionFailed>
  /** Deletes the subscription; also succeeds if there is none. */
  remove(id: string): Effect.Effect<void, TransitionFailed>
  /** Links streams by name, each at its tail. */
  addStreams(id: string, paths: ReadonlyArray<string>): Effect.Effect<void, TransitionFailed>
  /** Makes one transition. */
  act<A>(id: string, act: Act<A>): Effect.Effect<A, TransitionFailed>
  /** The name of the stream that a client means by the name it sent. */
  nameOf(sent: string): Effect.Effect<string, TransitionFailed>
  /** The generation that a token of the subscription is for. */
  verify(id: string, token: string): Effect.Effect<number, TransitionFailed | KeyFailed>
}>()("durable-streams/subscriptions/subscriptions") {
  static readonly layer: Layer.Layer<
    Subscriptions,
    StorageError,
    Storage | StreamManager | Keys | WebhookSender
  > = Layer.effect(
    Subscriptions,
    Effect.gen(function*() {
      const manager = yield* StreamManager
      const keys = yield* Keys
      // It closes after the fibers below have ended: the last transition of each still has its log.
      const logs = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      const fork = yield* FiberSet.makeRuntime<never>()
      const interest = new Interest<Runner>(fork)
      const shared: Shared = {
        interest,
        work: new WorkQueue(fork),
        webhooks: new WebhookQueue(yield* WebhookCallsMax),
        fork,
        moment: yield* makeMomentSource,
        deliver: makeWakeDelivery(manager, keys, yield* WebhookSender)
      }
      // It observes before it opens any: a subscription that looks at a stream or lists them misses no append meanwhile.
      const { names } = yield* manager.observe("", {
        created: (description) => interest.tell(description.name, madeNews(description)),
        appended: (description, tail) => interest.tell(description.name, grownNews(description, tail)),
        deleted: ({ id, name }) => interest.tell(name, goneNews(id))
      })
      const lookup = makeStreamLookup(manager)
      const runners = new Runners(shared)
      const workshop: Workshop = { storage: yield* Storage, logs, names, lookup, shared, runners }
      yield* openStored(workshop)

      return Subscriptions.of({
        put: (id, config, hash, base) => put(workshop, { id, config, hash, base }),
        remove: (id) => remove(runners, id),
        addStreams: (id, paths) => Effect.flatMap(runners.find(id), (runner) => addStreams(workshop, runner, paths)),
        nameOf: (sent) => {
          const trimmed = withoutEndSlashes(sent)
          if (trimmed === sent || nameFault(sent) !== undefined) return Effect.succeed(trimmed)
          return Effect.map(lookup.exists(sent), (exists) => exists ? sent : trimmed)
        },
        act: (id, act) => Effect.flatMap(runners.find(id), (runner) => runner.run(act)),
        get: (id) =>
          Effect.flatMap(runners.find(id), (runner) => Effect.andThen(runner.run(onlyNews), runners.findState(id))),
        verify: (id, token) => Effect.flatMap(runners.findState(id), (state) => keys.verify(token, subjectOf(state)))
      })
    })
  )
}

const remove = (runners: Runners, id: string) =>
  Effect.suspend(() => {
    const runner = runners.get(id)
    if (runner === undefined) return Effect.void
    return runner.lock.withPermit(Effect.uninterruptible(Effect.suspend(() => {
      const { damage, life } = runner
      const removed = damage?.remove ?? life?.log.delete
      if (removed === undefined) return Effect.void
      return Effect.map(removed, () => {
        if (life !== undefined) runner.leave(life.state.config, life.state.links.keys())
        runners.delete(id)
      })
    })))
  })

const addStreams = ({ lookup, shared: { interest } }: Workshop, runner: Runner, paths: ReadonlyArray<string>) =>
  runner.lock.withPermit(Effect.gen(function*() {
    if (runner.life === undefined) return yield* runner.transition(onlyNews)
    const { links } = runner.life.state
    const isNew = (path: string) => links.get(path)?.explicit !== true
    const wanted = paths.filter(isNew)
    if (links.size + wanted.filter((path) => !links.has(path)).length > fixedLimits.linksMax) {
      return yield* tooManyStreams
    }
    if (wanted.includes(runner.life.state.config.wakeStream ?? "")) return yield* ownWakeStream
    for (const path of wanted) interest.addPath(path, runner)
    yield* Effect.flatMap(
      lookup.all(wanted),
      (streams) => Effect.uninterruptible(runner.transition(onlyNews, linkExplicitly(streams, runner.matches)))
    ).pipe(
      Effect.onError(() => Effect.sync(() => wanted.filter(isNew).forEach((path) => interest.removePath(path, runner))))
    )
  }))

const ownWakeStream = new RequestInvalid({ message: "A subscription does not read its own wake stream." })
