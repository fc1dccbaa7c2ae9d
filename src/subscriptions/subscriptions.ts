/**
 * All subscriptions of this server: made, found, deleted, and found again after a restart.
 */
import { Context, DateTime, Effect, Exit, FiberSet, Layer, Scope, Semaphore } from "effect"
import { randomUUID } from "node:crypto"
import type { KeyFailed } from "../data-directory/key-file.ts"
import type { StorageError } from "../domain/errors.ts"
import { StorageFailed } from "../domain/errors.ts"
import { fixedLimits } from "../domain/limits.ts"
import { nameFault, type StreamName } from "../domain/types.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import { createLog, logPrefix, openLog, parseLogName } from "../storage/state-log.ts"
import type { StateChange } from "../storage/storage.ts"
import { Storage } from "../storage/storage.ts"
import { Draft } from "./machine/draft.ts"
import { RequestInvalid, SubscriptionExists, SubscriptionNotFound, TooManySubscriptions } from "./machine/refusals.ts"
import { withoutEndSlashes } from "./machine/stream-names.ts"
import type { Config, Subscription } from "./machine/subscription.ts"
import { apply, newSubscription, subjectOf } from "./machine/subscription.ts"
import { linkByGlob, linkExplicitly } from "./machine/transitions.ts"
import type { Act } from "./machine/wake-cycle.ts"
import { onlyNews } from "./machine/wake-cycle.ts"
import { CallLine, WebhookCallsMax } from "./running/call-line.ts"
import { makeCatchUp } from "./running/catch-up.ts"
import { makeDeliver } from "./running/deliver.ts"
import { Interest } from "./running/interest.ts"
import { goneNews, grownNews, madeNews, makeLook } from "./running/look.ts"
import { makeMoments } from "./running/moments.ts"
import type { Life, Surroundings, TransitionFailed } from "./running/runner.ts"
import { Runner } from "./running/runner.ts"
import { baseEntry, configEntries, fromState, stringEntry, toStateChanges } from "./running/state-codec.ts"
import { Turns } from "./running/turns.ts"
import { Keys } from "./webhook/keys.ts"
import { WebhookSender } from "./webhook/webhook-sender.ts"

const { linksMax, subscriptionsMax } = fixedLimits

/** How many subscriptions are opened at a time at the start, and look at their streams. */
const openedAtOnce = 16

export interface Made {
  readonly made: boolean
  readonly subscription: Subscription
}

export class Subscriptions extends Context.Service<Subscriptions, {
  /** Makes it, or finds that it was made of the same configuration, whose hash this is. */
  put(id: string, config: Config, hash: string, base: string): Effect.Effect<Made, TransitionFailed>
  get(id: string): Effect.Effect<Subscription, TransitionFailed>
  /** Deletes it; succeeds also where there is none. */
  remove(id: string): Effect.Effect<void, TransitionFailed>
  /** Links streams by name, each at its tail. */
  addStreams(id: string, paths: ReadonlyArray<string>): Effect.Effect<void, TransitionFailed>
  /** One transition. */
  act<A>(id: string, act: Act<A>): Effect.Effect<A, TransitionFailed>
  /** The name of the stream that is meant by a name as it was sent. */
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
      const storage = yield* Storage
      const manager = yield* StreamManager
      const keys = yield* Keys
      const look = makeLook(manager)
      // Closed after the fibers below have ended: the last transition of each still has its log.
      const logs = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      const fork = yield* FiberSet.makeRuntime<never>()
      const interest = new Interest<Runner>(fork)
      const runners = new Map<string, Runner>()
      const moment = yield* makeMoments
      const around: Surroundings = {
        interest,
        turns: new Turns(fork),
        line: new CallLine(yield* WebhookCallsMax),
        fork,
        moment,
        deliver: makeDeliver(manager, keys, yield* WebhookSender)
      }

      yield* manager.watch({
        created: (description) => interest.tell(description.name, madeNews(description)),
        appended: (description, tail) => interest.tell(description.name, grownNews(description, tail)),
        deleted: ({ id, name }) => interest.tell(name, goneNews(id))
      })

      const found = (id: string) => {
        const runner = runners.get(id)
        return runner === undefined ? Effect.fail(noSubscription) : Effect.succeed(runner)
      }
      const living = (id: string): Effect.Effect<Subscription, TransitionFailed> =>
        Effect.flatMap(found(id), ({ damage, life }): Effect.Effect<Subscription, TransitionFailed> => {
          if (damage !== undefined) return Effect.fail(damage.error)
          return life === undefined ? Effect.fail(noSubscription) : Effect.succeed(life.state)
        })

      /** The names that its pattern means: one more than it can read, at most. */
      const namesFor = Effect.fnUntraced(function*(runner: Runner, { pattern }: Config) {
        const found: Array<string> = []
        if (pattern === undefined) return found
        for (const [i, name] of (yield* manager.list()).entries()) {
          // Each is less than a tenth of a millisecond, and usually a hundredth of that.
          if (i % 50 === 49) yield* Effect.yieldNow
          if (runner.matches(name)) found.push(name)
          if (found.length > linksMax) break
        }
        return found
      })

      const make = Effect.fnUntraced(function*(runner: Runner, id: string, config: Config, hash: string, base: string) {
        // Listens first, so that nothing falls between looking and linking.
        runner.listen(config, config.streams)
        const named = yield* look.all(config.streams)
        const matching = yield* namesFor(runner, config)
        if (named.size + matching.length > linksMax) return yield* tooManyStreams
        const meant = yield* look.all(matching)
        const createdAt = DateTime.formatIso(yield* DateTime.now)
        const life = randomUUID()
        const draft = new Draft(newSubscription(id, life, createdAt, config), yield* moment)
        linkExplicitly(named, runner.matches)(draft)
        linkByGlob(meant)(draft)
        const state = [...configEntries(config, hash, base), ...toStateChanges(draft, new Map())]
        return yield* Effect.uninterruptible(
          Effect.map(createLog(storage, logs, { id, life, createdAt }, state), (log): Life => {
            runner.life = { state: apply(draft.from, draft), log, hash, base }
            runner.caughtUp()
            runner.kick()
            return runner.life
          })
        )
      }, (making, runner, id, config) =>
        Effect.onError(making, () =>
          Effect.sync(() => {
            runner.leave(config, config.streams)
            runners.delete(id)
          })))

      const confirm = Effect.fnUntraced(function*(runner: Runner, life: Life, hash: string, base: string) {
        if (life.hash !== hash) return yield* new SubscriptionExists()
        const news: ReadonlyArray<StateChange> = life.base === base ? [] : [baseEntry(base)]
        yield* Effect.uninterruptible(runner.transition(onlyNews, undefined, news))
        life.base = base
        return life.state
      })

      const put = (id: string, config: Config, hash: string, base: string): Effect.Effect<Made, TransitionFailed> =>
        Effect.suspend(() => {
          const known = runners.get(id)
          if (known === undefined && runners.size >= subscriptionsMax) return Effect.fail(tooManySubscriptions)
          const runner = known ?? new Runner(id, around)
          runners.set(id, runner)
          return runner.lock.withPermit(Effect.suspend((): Effect.Effect<Made, TransitionFailed> => {
            if (runner.damage !== undefined) return Effect.fail(runner.damage.error)
            if (runner.life !== undefined) {
              return Effect.map(confirm(runner, runner.life, hash, base), (subscription) => ({
                made: false,
                subscription
              }))
            }
            // It was deleted, or could not be made, while this request waited.
            if (runners.get(id) !== runner) return put(id, config, hash, base)
            return Effect.map(
              make(runner, id, config, hash, base),
              ({ state }) => ({ made: true, subscription: state })
            )
          }))
        })

      const remove = (id: string) =>
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

      const addStreams = Effect.fnUntraced(function*(id: string, paths: ReadonlyArray<string>) {
        const runner = yield* found(id)
        yield* runner.lock.withPermit(Effect.gen(function*() {
          if (runner.life === undefined) return yield* runner.transition(onlyNews)
          const { links } = runner.life.state
          const isNew = (path: string) => links.get(path)?.explicit !== true
          const wanted = paths.filter(isNew)
          if (links.size + wanted.filter((path) => !links.has(path)).length > linksMax) return yield* tooManyStreams
          if (wanted.includes(runner.life.state.config.wakeStream ?? "")) return yield* ownWakeStream
          for (const path of wanted) interest.addPath(path, runner)
          yield* Effect.flatMap(
            look.all(wanted),
            (streams) => Effect.uninterruptible(runner.transition(onlyNews, linkExplicitly(streams, runner.matches)))
          ).pipe(
            Effect.onError(() =>
              Effect.sync(() => wanted.filter(isNew).forEach((path) => interest.removePath(path, runner)))
            )
          )
        }))
      })

      /** What a restart finds, and what happened to its streams meanwhile. */
      const open = Effect.fnUntraced(function*(id: string, name: StreamName) {
        const runner = new Runner(id, around)
        runners.set(id, runner)
        const log = yield* openLog(storage, logs, name)
        const state = yield* Effect.fromResult(fromState(id, log.description, log.state)).pipe(
          Effect.mapError((fault) => new StorageFailed({ message: `The subscription ${id} cannot be read: ${fault}.` }))
        )
        const hash = stringEntry(log.state, "hash") ?? ""
        runner.life = { state, log, hash, base: stringEntry(log.state, "base") ?? "" }
        runner.listen(state.config, explicitPaths(state))
        return [runner, state] as const
      }, (opening, id, name) =>
        Effect.catch(opening, (failure) => {
          const error = failure._tag === "StreamNotFound" ? new StorageFailed({ message: failure.message }) : failure
          const remove = Effect.catchTag(storage.delete(name), "StreamNotFound", () => Effect.void)
          runners.get(id)!.damage = { error, remove }
          return Effect.logError(`A subscription cannot be used: ${error.message}`).pipe(
            Effect.annotateLogs({ subscription: id }),
            Effect.as(undefined)
          )
        }))

      const catchUp = yield* makeCatchUp(manager.list(), interest, look, fork)

      // Whatever was left behind by a log that moved on has a smaller number.
      const newest = new Map<string, { readonly number: number; readonly name: StreamName }>()
      for (const name of (yield* storage.atStart).listed) {
        if (!name.startsWith(logPrefix)) continue
        const parsed = parseLogName(name)
        if (parsed === undefined) continue
        const other = newest.get(parsed.id)
        const older = other === undefined || other.number < parsed.number ? other?.name : name
        if (older !== name) newest.set(parsed.id, { number: parsed.number, name })
        if (older !== undefined) yield* Effect.ignore(storage.delete(older))
      }
      const catchingUp = yield* Semaphore.make(openedAtOnce)
      const opened = yield* Effect.forEach(newest, ([id, { name }]) => open(id, name), { concurrency: openedAtOnce })
      for (const one of opened) {
        if (one === undefined) continue
        const [runner, { links }] = one
        // Requests wait until it has caught up.
        fork(runner.lock.withPermit(catchingUp.withPermit(catchUp(runner, links.keys()))))
      }

      return Subscriptions.of({
        put,
        remove,
        addStreams,
        nameOf: (sent) => {
          const trimmed = withoutEndSlashes(sent)
          if (trimmed === sent || nameFault(sent) !== undefined) return Effect.succeed(trimmed)
          return Effect.map(look.exists(sent), (exists) => exists ? sent : trimmed)
        },
        act: (id, act) => Effect.flatMap(found(id), (runner) => runner.run(act)),
        get: (id) => Effect.flatMap(found(id), (runner) => Effect.andThen(runner.run(onlyNews), living(id))),
        verify: (id, token) => Effect.flatMap(living(id), (state) => keys.verify(token, subjectOf(state)))
      })
    })
  )
}

const explicitPaths = ({ links }: Subscription): ReadonlyArray<string> =>
  [...links].filter(([, { explicit }]) => explicit).map(([path]) => path)

const noSubscription = new SubscriptionNotFound()
const tooManyStreams = new RequestInvalid({ message: `A subscription reads at most ${linksMax} streams.` })
const ownWakeStream = new RequestInvalid({ message: "A subscription does not read its own wake stream." })
const tooManySubscriptions = new TooManySubscriptions({
  message: `This server has ${subscriptionsMax} subscriptions, which is as many as it keeps.`
})
