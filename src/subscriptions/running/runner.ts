/**
 * One subscription at work: its log and its state. It makes one transition at a time, and each is durable before a client, a
 * worker or a webhook hears of it. The writers of streams bring news at any moment; the next transition takes them in.
 */
import { Cause, Effect, Semaphore } from "effect"
import type { LogDamaged, Overloaded, StorageError, StorageFull } from "../../domain/errors.ts"
import { toOffset } from "../../domain/types.ts"
import type { SubscriptionLog } from "../../storage/state-log.ts"
import type { StateChange } from "../../storage/storage.ts"
import type { SubscriptionRefused } from "../machine/refusals.ts"
import { SubscriptionNotFound } from "../machine/refusals.ts"
import type { Config, Subscription } from "../machine/subscription.ts"
import { apply, deadline } from "../machine/subscription.ts"
import type { Draft, Moment, Surprise } from "../machine/transition-draft.ts"
import { listShown } from "../machine/transitions.ts"
import type { Act, Matches, News, Prepare } from "../machine/wake-cycle.ts"
import { advance, onlyNews } from "../machine/wake-cycle.ts"
import { Alarm } from "./alarm.ts"
import type { DeliveryTools } from "./current-delivery.ts"
import { CurrentDelivery } from "./current-delivery.ts"
import { compileGlob } from "./glob.ts"
import type { Interest } from "./interest.ts"
import { NewsInbox } from "./news-inbox.ts"
import { toStateChanges } from "./state-codec.ts"
import type { WorkQueue } from "./work-queue.ts"

/** The parts that all runners share. */
export interface Shared extends DeliveryTools {
  readonly interest: Interest<Runner>
  readonly work: WorkQueue
  readonly moment: Effect.Effect<Moment>
}

export type TransitionFailed = SubscriptionRefused | StorageError | StorageFull | LogDamaged | Overloaded

/** A subscription from its making to its deletion. */
export interface Life {
  state: Subscription
  readonly log: SubscriptionLog
  /** The hash of its configuration: a request with the same one confirms the subscription. */
  readonly hash: string
  /** The server's address as the maker of the subscription, or the last client that confirmed it, reached it. */
  base: string
}

/** Why a subscription cannot be used, and how it is deleted all the same. */
interface Damage {
  readonly error: StorageError | LogDamaged
  readonly remove: Effect.Effect<void, StorageError>
}

export class Runner {
  /** Held by each transition, by the making and by the deletion. */
  readonly lock = Semaphore.makeUnsafe(1)
  /** Undefined before the making and after the deletion. */
  life: Life | undefined
  /** Set if the subscription is there and cannot be used. */
  damage: Damage | undefined
  /** Takes the names that the pattern means. The wake stream is none of them: each wake would wake it again. */
  matches: Matches = () => false
  readonly #id: string
  readonly #shared: Shared
  readonly #inbox = new NewsInbox()
  readonly #alarm: Alarm
  readonly #delivery: CurrentDelivery
  /** Results of deliveries that no commit holds yet. A lost one would leave its wake waiting for ever. */
  #results: ReadonlyArray<Act<void>> = []
  /** Commits that failed in a row. */
  #failures = 0
  /** Whether the next transition is the first since the server was started. */
  #isFirst = true
  #isKicked = false

  constructor(id: string, shared: Shared) {
    this.#id = id
    this.#shared = shared
    this.#alarm = new Alarm(shared.fork, () => this.kick())
    this.#delivery = new CurrentDelivery(shared, {
      run: (act) => this.#inTurn(act),
      addResult: (result) => {
        this.#results = [...this.#results, result]
        this.kick()
      }
    })
  }

  /** Begins to hear of its streams. */
  listen({ pattern, wakeStream }: Config, paths: Iterable<string>): void {
    const { interest } = this.#shared
    if (pattern !== undefined) {
      const glob = compileGlob(pattern)
      this.matches = (path) => path !== wakeStream && glob(path)
      interest.addGlob(pattern, this)
    }
    if (wakeStream !== undefined) interest.addPath(wakeStream, this)
    for (const path of paths) interest.addPath(path, this)
  }

  /** Hears of no stream any more, and ends its alarm and its delivery. */
  leave({ pattern, wakeStream }: Config, paths: Iterable<string>): void {
    const { interest } = this.#shared
    if (pattern !== undefined) interest.removeGlob(pattern, this)
    if (wakeStream !== undefined) interest.removePath(wakeStream, this)
    for (const path of paths) interest.removePath(path, this)
    this.#alarm.stop()
    this.#delivery.stop()
    this.life = undefined
  }

  /** Keeps news of a stream. The stream's writer calls this: it does not wait and does not fail. */
  tell(path: string, news: News): void {
    this.#inbox.add(path, news)
    this.kick()
  }

  /** Keeps news of a stream that the catch-up found at the start. */
  tellMissed(path: string, news: News): void {
    this.#inbox.addMissed(path, news)
  }

  endCatchUp(): void {
    this.#inbox.endCatchUp()
  }

  /** Takes in the news soon, in a fiber of its own: the caller may be a stream's writer. */
  kick(): void {
    if (this.#isKicked || this.life === undefined) return
    this.#isKicked = true
    this.#shared.work.add(
      Effect.suspend(() => {
        this.#isKicked = false
        return this.#inTurn(onlyNews)
      }).pipe(
        Effect.catchTag("SubscriptionNotFound", () => Effect.void),
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause)
            ? Effect.void
            : Effect.logError("A subscription could not go on", cause).pipe(
              Effect.annotateLogs({ subscription: this.#id })
            )
        )
      )
    )
  }

  /** Makes a transition when it is its turn; the transition knows of every append that was answered before. */
  run<A>(act: Act<A>): Effect.Effect<A, TransitionFailed> {
    const { interest } = this.#shared
    return Effect.suspend(() =>
      interest.isSettled
        ? this.#inTurn(act)
        : Effect.andThen(Effect.timeoutOption(interest.settled, settledWithin), this.#inTurn(act))
    )
  }

  #inTurn<A>(act: Act<A>): Effect.Effect<A, TransitionFailed> {
    return this.lock.withPermit(Effect.uninterruptible(Effect.suspend(() => this.transition(act))))
  }

  /** Makes a transition, and commits `more` with it. The caller holds the lock. */
  transition<A>(
    act: Act<A>,
    prepare?: Prepare,
    more: ReadonlyArray<StateChange> = []
  ): Effect.Effect<A, TransitionFailed> {
    return Effect.suspend(() => {
      if (this.damage !== undefined) return Effect.fail(this.damage.error)
      const { life } = this
      return life === undefined
        ? Effect.fail(noSubscription)
        : Effect.flatMap(this.#shared.moment, (moment) => this.#advance(life, moment, act, prepare, more))
    })
  }

  #advance<A>(
    life: Life,
    moment: Moment,
    act: Act<A>,
    prepare: Prepare | undefined,
    more: ReadonlyArray<StateChange>
  ): Effect.Effect<A, TransitionFailed> {
    const news = this.#inbox.takeAll()
    const results = this.#results
    this.#results = []
    const { changes, outcome } = advance(life.state, moment, this.matches, news, act, {
      prepare,
      results,
      queuedWake: this.#delivery.queuedWake,
      isFirst: this.#isFirst
    })
    const state = [...toStateChanges(changes, life.log.state), ...more]
    const committed = state.length === 0
      ? Effect.void
      : life.log.commit(state).pipe(
        Effect.tapCause(() => Effect.sync(() => this.#putBack(news, results, moment.now))),
        Effect.catchTag("StreamNotFound", () => Effect.fail(noSubscription))
      )
    return committed.pipe(
      Effect.andThen(() => this.#follow(life, changes, moment.now)),
      Effect.andThen(Effect.fromResult(outcome))
    )
  }

  /** Sets the alarm and begins the delivery that follow from a transition, when it is durable. */
  #follow(life: Life, changes: Draft, now: number): Effect.Effect<void> {
    this.#isFirst = false
    this.#failures = 0
    const isNew = changes.wake?.id !== life.state.wake?.id
    life.state = apply(life.state, changes)
    for (const [path, link] of changes.links) {
      // The pattern brings news of the streams that it means.
      if (link?.explicit === true) this.#shared.interest.addPath(path, this)
      else this.#shared.interest.removePath(path, this)
    }
    this.#alarm.set(this.#delivery.isQueued(life.state.wake) ? undefined : deadline(life.state), now)
    if (changes.deliver && changes.wake !== undefined) {
      const { base, state } = life
      this.#delivery.start({ subscription: state, wake: changes.wake, isNew, streams: listShown(changes), base })
    }
    return logOddities(this.#id, changes)
  }

  /** Keeps the news and results of a commit that failed, and tries again in a moment. */
  #putBack(news: ReadonlyMap<string, News>, results: ReadonlyArray<Act<void>>, now: number): void {
    this.#results = [...results, ...this.#results]
    this.#failures++
    this.#inbox.putBack(news)
    this.#alarm.set(now + Math.min(commitPauseMax, commitPauseMin * 2 ** Math.min(this.#failures - 1, 10)), now)
  }
}

export const noSubscription = new SubscriptionNotFound()

/** Logs the streams that did not fit, and those that contradict their cursors. */
const logOddities = (id: string, { refused: left, surprises }: Draft): Effect.Effect<void> =>
  Effect.andThen(
    left.length === 0
      ? Effect.void
      : Effect.logWarning("A subscription reads as many streams as it can; others that it means are left out").pipe(
        Effect.annotateLogs({ subscription: id, count: left.length, first: left[0] })
      ),
    Effect.forEach(surprises, ({ link, path, what }) =>
      Effect.logWarning(surpriseMessages[what]).pipe(
        Effect.annotateLogs({ subscription: id, stream: path, cursor: toOffset(link.acked) })
      ), { discard: true })
  )

const surpriseMessages: Readonly<Record<Surprise["what"], string>> = {
  gone: "A stream that a subscription read is not there any more: if it was not deleted, bring it back from a backup",
  another: "A stream that a subscription reads is another one than before: it is read from its beginning",
  shorter:
    "A stream has less than a subscription has processed of it, as after a restored backup: it is read on from its end"
}

/** Thousands of patterns of the worst kind keep news for longer; no request waits for them. */
const settledWithin = "1 second"

/** After a failed commit, in milliseconds, doubled each time: a disk that is full for hours is neither hammered nor logged. */
const commitPauseMin = 1_000
const commitPauseMax = 60_000
