/**
 * Answers that are made without a fiber. An append is so little that the fiber would be a fifth of it (docs/perf/append.md),
 * so its route is called back from step to step. Everything that tells such an answering from an effect is here: gates,
 * other routes and adapters handle both by `mapAnswering` and `Answerings`.
 */
import { type Cause, Effect, Exit, Fiber, type Scope } from "effect"
import type { Answer, Done, Incoming } from "./exchange.ts"

/** Calls that end in one of `done`. Nothing of it can be interrupted. */
export interface Direct<E> {
  readonly answerUnsafe: (done: Done<Answer, E>) => void
}

export type Answering<E> = Effect.Effect<Answer, E, Scope.Scope> | Direct<E>

/** Answers every request: refusals are answers too. The scope closes when the answer has been sent or the caller left. */
export type Handler = (request: Incoming) => Answering<never>

type RunFork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

const isDirect = <E>(answering: Answering<E>): answering is Direct<E> => "answerUnsafe" in answering

const isExit = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Exit<A, E> => Exit.isExit(effect)

/** The same as an effect. */
export const toEffect = <E>(answering: Answering<E>): Effect.Effect<Answer, E, Scope.Scope> =>
  isDirect(answering) ? Effect.callback((resume) => answering.answerUnsafe(resume)) : answering

/**
 * Lets `recover` turn a failure into an answer, and `change` go over every answer. A direct answering takes a fiber only if
 * `recover` needs one.
 */
export const mapAnswering = <E, E2>(
  answering: Answering<E>,
  { change, recover, runFork }: {
    readonly recover: (cause: Cause.Cause<E>) => Effect.Effect<Answer, E2>
    readonly change: (answer: Answer) => Answer
    readonly runFork: RunFork
  }
): Answering<E2> => {
  if (!isDirect(answering)) return Effect.map(Effect.catchCause(answering, recover), change)
  return {
    answerUnsafe: (done) => {
      const finish: Done<Answer, E> = (exit) => {
        if (Exit.isSuccess(exit)) return done(Exit.succeed(change(exit.value)))
        const recovered = recover(exit.cause)
        if (isExit(recovered)) done(Exit.map(recovered, change))
        else runFork(Effect.map(recovered, change)).addObserver(done)
      }
      try {
        answering.answerUnsafe(finish)
      } catch (defect) {
        finish(Exit.die(defect))
      }
    }
  }
}

/** Goes on with `next` if that went well; a mistake that is made in `next` is told, too. */
export const whenDone = <A, B, E>(done: Done<B, E>, next: (value: A) => void): Done<A, E> => (exit) => {
  if (Exit.isFailure(exit)) return done(Exit.failCause(exit.cause))
  try {
    next(exit.value)
  } catch (defect) {
    done(Exit.die(defect))
  }
}

/** The answerings of one adapter that are under way. */
export class Answerings {
  readonly #runFork: RunFork
  readonly #fibers = new Set<Fiber.Fiber<void, unknown>>()
  #direct = 0
  #onLastDirect: (() => void) | undefined

  constructor(runFork: RunFork) {
    this.#runFork = runFork
  }

  /**
   * Starts one. `send` sends the answer, and returns what is left of that as an effect, if anything; `abort` is called if
   * the answering or the sending fails. Returns how to interrupt it, if it is not over and can be interrupted.
   */
  start(
    answering: Answering<never>,
    send: (answer: Answer) => Effect.Effect<void, unknown> | undefined,
    abort: () => void
  ): (() => void) | undefined {
    if (isDirect(answering)) return void this.#startDirect(answering, send, abort)
    const fiber = this.#runFork(Effect.scoped(Effect.flatMap(answering, (answer) => send(answer) ?? Effect.void)))
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      if (Exit.isFailure(exit)) abort()
      return undefined
    }
    this.#fibers.add(fiber)
    fiber.addObserver((exit) => {
      this.#fibers.delete(fiber)
      if (Exit.isFailure(exit)) abort()
    })
    return () => fiber.interruptUnsafe()
  }

  #startDirect(
    { answerUnsafe }: Direct<never>,
    send: (answer: Answer) => Effect.Effect<void, unknown> | undefined,
    abort: () => void
  ): void {
    let isOver = false
    this.#direct++
    answerUnsafe((exit) => {
      // A mistake that is made here is told to the route (`whenDone`), which calls again.
      if (isOver) return abort()
      isOver = true
      if (--this.#direct === 0) this.#onLastDirect?.()
      if (Exit.isFailure(exit)) return abort()
      const rest = send(exit.value)
      if (rest !== undefined) this.#runFork(rest)
    })
  }

  /** Waits until all have ended that are under way now. */
  readonly idle: Effect.Effect<void> = Effect.suspend(() =>
    Effect.andThen(
      Effect.forEach([...this.#fibers], (fiber) => Fiber.await(fiber), { discard: true }),
      Effect.callback<void>((resume) => {
        if (this.#direct === 0) return resume(Effect.void)
        this.#onLastDirect = () => resume(Effect.void)
      })
    )
  )
}
