/**
 * A stream wrapped with hooks: a pure function that never reaches inside the stream.
 *
 * Before hooks run in order, for every event of the append before anything is stored; the first failure vetoes. After
 * hooks run once the events are durable, whether or not the caller still listens, and can only be logged.
 */
import { Effect } from "effect"
import type { EventBlock } from "../domain/types.ts"
import { parseEvent } from "../event/event-block.ts"
import type { EventData } from "../event/event-data.ts"
import type {
  Appended,
  AppendError,
  AppendRequest,
  Created,
  CreateError,
  CreateRequest,
  DurableStream,
  Reservation
} from "../stream/durable-stream.ts"
import type { HookError, Hooks } from "./hooks.ts"

/** A stream whose appends a hook may refuse, those of its making included. */
export interface HookedStream extends Omit<DurableStream, "append" | "appendThen" | "create"> {
  /** Undefined where hooks are asked, which takes a fiber. */
  readonly appendThen: DurableStream["appendThen"] | undefined
  readonly append: (request: AppendRequest) => Effect.Effect<Appended, AppendError | HookError>
  readonly create: (
    request: CreateRequest,
    reservation?: Reservation
  ) => Effect.Effect<Created, CreateError | HookError>
}

export const withHooks = (stream: HookedStream, hooks: Hooks): HookedStream => {
  const before = hooks.beforeAppend ?? []
  const after = hooks.afterAppend ?? []
  if (before.length === 0 && after.length === 0) return stream

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

  const told = <A extends { readonly events: EventBlock }, E>(made: Effect.Effect<A, E>) =>
    Effect.uninterruptible(Effect.tap(made, ({ events }) => after.length === 0 ? Effect.void : tell(events)))

  return {
    ...stream,
    appendThen: undefined,
    append: Effect.fn("withHooks.append")(function*(request) {
      yield* ask(request.data)
      return yield* told(stream.append(request))
    }),
    create: Effect.fn("withHooks.create")(function*(request, reservation) {
      yield* ask(request.data)
      return yield* told(stream.create(request, reservation))
    })
  }
}
