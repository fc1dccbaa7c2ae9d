/**
 * Counts the streams, and admits no more than the limit says. Existing streams are used as before, and deleting one makes
 * room for another. Logs that are kept only for forks and the server's own logs are not listed, so they do not count.
 */
import { Context, Effect, Layer } from "effect"
import { TooManyStreams } from "../domain/errors.ts"
import { CurrentLimits } from "../domain/limits.ts"
import type { StreamName } from "../domain/types.ts"
import { isReserved } from "../domain/types.ts"
import { Storage } from "../storage/storage.ts"
import { StreamAdmission } from "../stream/stream-admission.ts"

/** How many streams exist. */
export class StreamCount extends Context.Service<StreamCount, { readonly current: () => number }>()(
  "durable-streams/manager/stream-limit/StreamCount"
) {}

/** The storage, counted: it keeps the number of streams up to date. */
export const layerStreamLimit: Layer.Layer<Storage | StreamCount, never, Storage> = Layer.effectContext(
  Effect.gen(function*() {
    const storage = yield* Storage
    const { streamsMax } = yield* CurrentLimits
    // Names and not a number: a log that another program removed is found missing, perhaps more than once.
    const names = new Set((yield* storage.atStart).listed.filter((name) => !isReserved(name)))
    const add = (name: StreamName) => Effect.sync(() => isReserved(name) || names.add(name))
    const remove = (name: StreamName) => Effect.sync(() => void names.delete(name))

    const counted = Storage.of({
      ...storage,
      open: (name) =>
        storage.open(name).pipe(
          Effect.tap((log) => log.hidden ? remove(name) : add(name)),
          Effect.tapErrorTag("StreamNotFound", () => remove(name))
        ),
      // If it fails the stream may still exist: its next opening counts it.
      hide: (name) => Effect.tap(storage.hide(name), () => remove(name)),
      delete: (name) =>
        storage.delete(name).pipe(
          Effect.tap(() => remove(name)),
          Effect.tapErrorTag("StreamNotFound", () => remove(name))
        )
    })

    const admit = <A, E, R>(name: StreamName, create: Effect.Effect<A, E, R>) =>
      Effect.suspend((): Effect.Effect<A, E | TooManyStreams, R> => {
        if (names.has(name) || isReserved(name)) return create
        if (names.size >= streamsMax) return Effect.fail(new TooManyStreams({ limit: streamsMax }))
        // At once: another creation may be under way.
        names.add(name)
        return Effect.onError(create, () => remove(name))
      })

    return Context.make(Storage, counted).pipe(
      Context.add(StreamAdmission, { admit }),
      Context.add(StreamCount, StreamCount.of({ current: () => names.size }))
    )
  })
)
