/**
 * One subscription at work: its log, its state, its clock and its delivery. One transition at a time, each durable before
 * anybody hears of it. News arrive from the streams' writers at any moment and are only noted; the next transition takes
 * them in.
 */
import { Cause, Effect, type Fiber, Result, Semaphore } from "effect"
import type { LogDamaged, Overloaded, StorageError, StorageFull } from "../../domain/errors.ts"
import { toOffset } from "../../domain/types.ts"
import type { SubscriptionLog } from "../../storage/state-log.ts"
import type { StateChange } from "../../storage/storage.ts"
import type { Moment, Surprise } from "../machine/draft.ts"
import type { SubscriptionRefused } from "../machine/refusals.ts"
import { SubscriptionNotFound } from "../machine/refusals.ts"
import type { Config, Subscription, Wake } from "../machine/subscription.ts"
import { apply, deadline } from "../machine/subscription.ts"
import { shown, type StreamStatus } from "../machine/transitions.ts"
import type { Act, Matches, News, Prepare } from "../machine/wake-cycle.ts"
import { advance, failed, following, onlyNews } from "../machine/wake-cycle.ts"
import type { CallLine } from "./call-line.ts"
import { compileGlob } from "./glob.ts"
import type { Interest } from "./interest.ts"
import { toStateChanges } from "./state-codec.ts"
import type { Turns } from "./turns.ts"

/** Somebody is to be told of a wake. */
export interface Delivery {
  readonly subscription: Subscription
  readonly wake: Wake
  /** Whether it was not told before. */
  readonly isNew: boolean
  readonly streams: ReadonlyArray<StreamStatus>
  /** The server's address as the subscription's maker knows it. */
  readonly base: string
}

/** What runners share. */
export interface Surroundings {
  readonly interest: Interest<Runner>
  readonly turns: Turns
  readonly line: CallLine
  /** Starts a fiber that ends with the server at the latest. */
  readonly fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>
  readonly moment: Effect.Effect<Moment>
  /** Tells somebody; the answer is what that makes of the wake. */
  readonly deliver: (delivery: Delivery) => Effect.Effect<Act<void>>
}

export type TransitionFailed = SubscriptionRefused | StorageError | StorageFull | LogDamaged | Overloaded

/** A subscription from its making to its deletion. */
export interface Life {
  state: Subscription
  readonly log: SubscriptionLog
  /** What its configuration is recognised by. */
  readonly hash: string
  base: string
}

/** Why a subscription cannot be used, and what takes it away all the same. */
interface Damage {
  readonly error: StorageError | LogDamaged
  readonly remove: Effect.Effect<void, StorageError>
}

export class Runner {
  /** Transitions, the making and the deletion: one at a time. */
  readonly lock = Semaphore.makeUnsafe(1)
  /** Undefined before the making and after the deletion. */
  life: Life | undefined
  /** Where it is there and cannot be used. */
  damage: Damage | undefined
  /** The names its pattern means. The wake stream is none of them: each wake would wake it again. */
  matches: Matches = () => false
  readonly #id: string
  readonly #around: Surroundings
  readonly #news = new Map<string, News>()
  /** What deliveries came to, until a commit has it: each wake would wait for its own for ever. */
  #results: ReadonlyArray<Act<void>> = []
  /** The streams whose writers told something since the start, while that matters. */
  #told: Set<string> | undefined = new Set()
  /** Commits that failed in a row. */
  #failures = 0
  #started = true
  #kicked = false
  #alarm: Fiber.Fiber<unknown> | undefined
  #alarmAt: number | undefined
  #delivery: Fiber.Fiber<unknown> | undefined
  /** The wake whose webhook waits until it may be called. */
  #inLine: string | undefined

  constructor(id: string, around: Surroundings) {
    this.#id = id
    this.#around = around
  }

  /** Hears of its streams from now on. */
  listen({ pattern, wakeStream }: Config, paths: Iterable<string>): void {
    const { interest } = this.#around
    if (pattern !== undefined) {
      const glob = compileGlob(pattern)
      this.matches = (path) => path !== wakeStream && glob(path)
      interest.addGlob(pattern, this)
    }
    if (wakeStream !== undefined) interest.addPath(wakeStream, this)
    for (const path of paths) interest.addPath(path, this)
  }

  /** Hears of nothing any more, and ends what is under way. */
  leave({ pattern, wakeStream }: Config, paths: Iterable<string>): void {
    const { interest } = this.#around
    if (pattern !== undefined) interest.removeGlob(pattern, this)
    if (wakeStream !== undefined) interest.removePath(wakeStream, this)
    for (const path of paths) interest.removePath(path, this)
    this.#setAlarm(undefined, 0)
    this.#delivery?.interruptUnsafe()
    this.life = undefined
  }

  /** Notes what became of a stream. Called by the stream's writer: does not wait, does not fail. */
  tell(path: string, news: News): void {
    this.#told?.add(path)
    this.#news.set(path, following(this.#news.get(path), news))
    this.kick()
  }

  /** Notes what was found of a stream at the start; if its writer has told anything since, that is newer. */
  learn(path: string, news: News): void {
    if (this.#told?.has(path) === false) this.#news.set(path, { ...news, found: true })
  }

  /** All that happened while no server ran was learnt. */
  caughtUp(): void {
    this.#told = undefined
  }

  /** Takes in the news soon. */
  kick(): void {
    if (this.#kicked || this.life === undefined) return
    this.#kicked = true
    this.#soon(Effect.suspend(() => {
      this.#kicked = false
      return this.#inTurn(onlyNews)
    }))
  }

  /** A transition, when it is its turn, that knows of everything that was appended before. */
  run<A>(act: Act<A>): Effect.Effect<A, TransitionFailed> {
    const { interest } = this.#around
    return Effect.suspend(() =>
      interest.isSettled
        ? this.#inTurn(act)
        : Effect.andThen(Effect.timeoutOption(interest.settled, settledWithin), this.#inTurn(act))
    )
  }

  #inTurn<A>(act: Act<A>, prepare?: Prepare): Effect.Effect<A, TransitionFailed> {
    return this.lock.withPermit(Effect.uninterruptible(Effect.suspend(() => this.transition(act, prepare))))
  }

  /** A transition for whoever holds the lock. */
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
        : Effect.flatMap(this.#around.moment, (moment) => this.#advance(life, moment, act, prepare, more))
    })
  }

  #advance<A>(
    life: Life,
    moment: Moment,
    act: Act<A>,
    prepare: Prepare | undefined,
    more: ReadonlyArray<StateChange>
  ): Effect.Effect<A, TransitionFailed> {
    const news = new Map(this.#news)
    const results = this.#results
    this.#news.clear()
    this.#results = []
    const { changes, outcome } = advance(life.state, moment, this.matches, news, act, {
      prepare,
      results,
      inLine: this.#inLine,
      started: this.#started
    })
    const state = [...toStateChanges(changes, life.log.state), ...more]
    const committed = state.length === 0
      ? Effect.void
      : life.log.commit(state).pipe(
        Effect.tapCause(() => Effect.sync(() => this.#putBack(news, results, moment.now))),
        Effect.catchTag("StreamNotFound", () => Effect.fail(noSubscription))
      )
    return committed.pipe(
      Effect.andThen(() => {
        this.#started = false
        this.#failures = 0
        const isNew = changes.wake?.id !== life.state.wake?.id
        life.state = apply(life.state, changes)
        for (const [path, link] of changes.links) {
          // What the pattern means is heard of by the pattern.
          if (link?.explicit === true) this.#around.interest.addPath(path, this)
          else this.#around.interest.removePath(path, this)
        }
        const isInLine = this.#inLine !== undefined && this.#inLine === life.state.wake?.id &&
          !life.state.wake.delivered
        this.#setAlarm(isInLine ? undefined : deadline(life.state), moment.now)
        if (changes.deliver && changes.wake !== undefined) {
          this.#startDelivery(life, changes.wake, isNew, shown(changes))
        }
        return Effect.andThen(
          changes.refused.length > 0 ? this.#tooMany(changes.refused) : Effect.void,
          Effect.forEach(changes.surprises, (surprise) => this.#surprised(surprise), { discard: true })
        )
      }),
      Effect.andThen(Effect.fromResult(outcome))
    )
  }

  #tooMany(streams: ReadonlyArray<string>): Effect.Effect<void> {
    return Effect.logWarning("A subscription reads as many streams as it can; others that it means are left out").pipe(
      Effect.annotateLogs({ subscription: this.#id, count: streams.length, first: streams[0] })
    )
  }

  #surprised({ link, path, what }: Surprise): Effect.Effect<void> {
    return Effect.logWarning(surprises[what]).pipe(
      Effect.annotateLogs({ subscription: this.#id, stream: path, cursor: toOffset(link.acked) })
    )
  }

  /** What could not be kept is still to be taken in: again in a moment. */
  #putBack(news: ReadonlyMap<string, News>, results: ReadonlyArray<Act<void>>, now: number): void {
    this.#results = [...results, ...this.#results]
    this.#failures++
    for (const [path, item] of news) {
      const newer = this.#news.get(path)
      this.#news.set(path, newer === undefined ? item : following(item, newer))
    }
    this.#setAlarm(now + Math.min(commitPauseMax, commitPauseMin * 2 ** Math.min(this.#failures - 1, 10)), now)
  }

  #setAlarm(at: number | undefined, now: number): void {
    if (at === this.#alarmAt) return
    this.#alarm?.interruptUnsafe()
    this.#alarmAt = at
    this.#alarm = at === undefined ? undefined : this.#around.fork(
      Effect.andThen(Effect.sleep(Math.max(0, at - now)), () => {
        this.#alarmAt = undefined
        this.#alarm = undefined
        this.kick()
        return Effect.void
      })
    )
  }

  /** Tells somebody, in place of whoever is still being told of an older wake. */
  #startDelivery(life: Life, wake: Wake, isNew: boolean, streams: ReadonlyArray<StreamStatus>): void {
    const { deliver, fork, line } = this.#around
    const { webhookUrl } = life.state.config
    this.#delivery?.interruptUnsafe()
    this.#inLine = undefined
    const delivery = { subscription: life.state, wake, isNew, streams, base: life.base }
    const telling = webhookUrl === undefined
      ? deliver(delivery)
      : line.take(
        URL.parse(webhookUrl)?.origin ?? webhookUrl,
        () => void (this.#inLine = wake.id),
        Effect.suspend(() => this.#inLine === undefined ? deliver(delivery) : this.#callNow(delivery))
      )
    // The transition has a fiber of its own: it may start the next delivery, which ends this one.
    this.#delivery = fork(Effect.map(Effect.andThen(Effect.yieldNow, telling), (result) => this.#note(result)))
  }

  /** The turn of a webhook that had to wait: its lease begins now, and it is shown what there is now. */
  #callNow(delivery: Delivery): Effect.Effect<Act<void>> {
    const { wake } = delivery
    const begin: Act<ReadonlyArray<StreamStatus> | undefined> = (draft) => {
      this.#inLine = undefined
      // A receiver that was called before may have called back meanwhile.
      if (draft.wake?.id !== wake.id || draft.wake.delivered) return Result.succeed(undefined)
      draft.holdLease(undefined)
      return Result.succeed(shown(draft))
    }
    return Effect.matchEffect(this.#inTurn(begin), {
      onSuccess: (streams) =>
        streams === undefined ? Effect.succeed(onlyNews) : this.#around.deliver({ ...delivery, streams }),
      onFailure: () => Effect.succeed(failed(wake.id))
    })
  }

  #note(result: Act<void>): void {
    this.#results = [...this.#results, result]
    this.kick()
  }

  /** In a fiber of its own, after whoever is at work now: that may be a stream's writer. */
  #soon(work: Effect.Effect<void, TransitionFailed>): void {
    this.#around.turns.add(
      work.pipe(
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
}

/** Patterns of the worst kind by the thousands keep news for longer; nobody waits for them. */
const settledWithin = "1 second"

const surprises: Readonly<Record<Surprise["what"], string>> = {
  gone: "A stream that a subscription read is not there any more: if it was not deleted, bring it back from a backup",
  another: "A stream that a subscription reads is another one than before: it is read from its beginning",
  shorter:
    "A stream has less than a subscription has processed of it, as after a restored backup: it is read on from its end"
}

const noSubscription = new SubscriptionNotFound()

/** After a commit that failed, in milliseconds, doubled each time: a disk that is full for hours is neither hammered nor logged. */
const commitPauseMin = 1_000
const commitPauseMax = 60_000
