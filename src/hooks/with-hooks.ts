/**
 * A stream wrapped with hooks: a pure function that never reaches inside the stream.
 *
 * Before hooks run in order, for every event of the append before anything is stored; the first failure vetoes. After
 * hooks run once the events are durable, whether or not the caller still listens. Their failures are only logged. Hooks
 * that need no fiber are run without one: an append costs no more than they do.
 */
import { Context, Effect, Exit } from "effect"
import type { EventBlock, StreamName } from "../domain/types.ts"
import { parseEvent } from "../event/event-block.ts"
import type { AppendRequest, DurableStream } from "../stream/durable-stream.ts"
import type { AfterAppendHook, BeforeAppendHook, HookError, Hooks } from "./hooks.ts"

/** Hooks that run without a caller's fiber, for `appendUnsafe`, find their services in `context`. */
export const withHooks = <E>(
  stream: DurableStream<E>,
  hooks: Hooks,
  context: Context.Context<never> = Context.empty()
): DurableStream<E | HookError> => {
  const before = hooks.beforeAppend ?? []
  const after = hooks.afterAppend ?? []
  if (before.length === 0 && after.length === 0) return stream
  const runFork = Effect.runForkWith(context)
  const { name } = stream

  /** Calls `then` with the exit of the effect: at once, unless the effect suspends. */
  const run = <A, E>(effect: Effect.Effect<A, E>, then: (exit: Exit.Exit<A, E>) => void): void => {
    if (isExit(effect)) return then(effect)
    const fiber = runFork(effect)
    const exit = fiber.pollUnsafe()
    if (exit === undefined) fiber.addObserver(then)
    else then(exit)
  }

  const ask = (asked: Asked) => Effect.suspend(() => askFrom(before, name, asked, 0))

  const thenTell = <A extends { readonly events: EventBlock }, E>(made: Effect.Effect<A, E>) =>
    Effect.uninterruptible(
      Effect.tap(made, ({ events }) => after.length === 0 ? Effect.void : tell(after, name, events))
    )

  const appendUnsafe: DurableStream<E | HookError>["appendUnsafe"] = (request, done) => {
    const append = (asked: Exit.Exit<void, HookError>) => {
      if (Exit.isFailure(asked)) return done(Exit.failCause(asked.cause))
      if (after.length === 0) return stream.appendUnsafe(request, done)
      stream.appendUnsafe(request, (exit) => {
        if (Exit.isFailure(exit)) return done(exit)
        run(Effect.suspend(() => tell(after, name, exit.value.events)), () => done(exit))
      })
    }
    run(askEagerly(before, name, request), append)
  }

  return {
    ...stream,
    append: Effect.fn("withHooks.append")(function*(request) {
      yield* ask(request)
      return yield* thenTell(stream.append(request))
    }),
    appendUnsafe,
    create: Effect.fn("withHooks.create")(function*(request, reservation) {
      yield* ask(request)
      return yield* thenTell(stream.create(request, reservation))
    })
  }
}

type Asked = Pick<AppendRequest, "by" | "data">

const isExit = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Exit<A, E> => Exit.isExit(effect)

/**
 * Asks the before hooks of each event, from the `place`-th question on. As long as hooks return exits (`Effect.void`,
 * `Effect.fail`), nothing has to be run, and the answer is an exit too.
 */
const askFrom = (
  before: ReadonlyArray<BeforeAppendHook>,
  name: StreamName,
  asked: Asked,
  place: number
): Effect.Effect<void, HookError> => {
  const { by, data } = asked
  const count = before.length * data.length
  for (let next = place; next < count; next++) {
    const hook = before[next % before.length]!
    const judged = hook.run({ name, data: data[Math.floor(next / before.length)]!.value, by })
    if (!isExit(judged)) {
      return next + 1 === count ? judged : Effect.flatMap(judged, () => askFrom(before, name, asked, next + 1))
    }
    if (Exit.isFailure(judged)) return judged
  }
  return Exit.void
}

/** The same for a caller without a fiber: a hook that throws is a defect. */
const askEagerly = (
  before: ReadonlyArray<BeforeAppendHook>,
  name: StreamName,
  asked: Asked
): Effect.Effect<void, HookError> => {
  try {
    return askFrom(before, name, asked, 0)
  } catch (defect) {
    return Exit.die(defect)
  }
}

/** Tells the after hooks of each event. Never fails. */
const tell = (after: ReadonlyArray<AfterAppendHook>, name: StreamName, events: EventBlock): Effect.Effect<void> =>
  Effect.forEach(
    Array.from({ length: events.count }, (_, i) => parseEvent(events, i)),
    (event) =>
      Effect.forEach(after, (hook) =>
        Effect.suspend(() => hook.run({ name, event })).pipe(
          Effect.catchCause((cause) =>
            Effect.logError("An after hook failed; the event is stored", cause).pipe(
              Effect.annotateLogs({ stream: name, offset: event.offset, hookId: hook.id })
            )
          )
        ), { discard: true }),
    { discard: true }
  )
