/**
 * A stream wrapped with hooks: a pure function that never reaches inside the stream.
 *
 * Before hooks run in order, for every event of the append before anything is stored; the first failure vetoes. After
 * hooks run once the events are durable, whether or not the caller still listens. Their failures are only logged.
 */
import { Context, Effect } from "effect"
import type { EventBlock } from "../domain/types.ts"
import { parseEvent } from "../event/event-block.ts"
import type { EventData } from "../event/event-data.ts"
import type { DurableStream } from "../stream/durable-stream.ts"
import type { HookError, Hooks } from "./hooks.ts"

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

  const ask = (data: ReadonlyArray<EventData>) =>
    Effect.forEach(
      data,
      (data) => Effect.forEach(before, (hook) => hook.run({ name: stream.name, data: data.value }), { discard: true }),
      { discard: true }
    )

  const tell = (events: EventBlock) =>
    Effect.forEach(
      Array.from({ length: events.count }, (_, i) => parseEvent(events, i)),
      (event) =>
        Effect.forEach(after, (hook) =>
          Effect.suspend(() => hook.run({ name: stream.name, event })).pipe(
            Effect.catchCause((cause) =>
              Effect.logError("An after hook failed; the event is stored", cause).pipe(
                Effect.annotateLogs({ stream: stream.name, offset: event.offset, hookId: hook.id })
              )
            )
          ), { discard: true }),
      { discard: true }
    )

  const thenTell = <A extends { readonly events: EventBlock }, E>(made: Effect.Effect<A, E>) =>
    Effect.uninterruptible(Effect.tap(made, ({ events }) => after.length === 0 ? Effect.void : tell(events)))

  const append: DurableStream<E | HookError>["append"] = Effect.fn("withHooks.append")(function*(request) {
    yield* ask(request.data)
    return yield* thenTell(stream.append(request))
  })

  return {
    ...stream,
    append,
    appendUnsafe: (request, done) => void runFork(append(request)).addObserver(done),
    create: Effect.fn("withHooks.create")(function*(request, reservation) {
      yield* ask(request.data)
      return yield* thenTell(stream.create(request, reservation))
    })
  }
}
