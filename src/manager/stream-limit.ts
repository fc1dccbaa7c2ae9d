/**
 * A storage that takes no more than so many streams. Existing streams are used as before; a stream that is deleted makes
 * room for another. Streams that are not listed do not count: those kept only for forks, and the server's own.
 */
import { Context, Effect, Layer } from "effect"
import { TooManyStreams } from "../domain/errors.ts"
import { CurrentLimits } from "../domain/limits.ts"
import type { StreamName } from "../domain/types.ts"
import { isReserved } from "../domain/types.ts"
import { Storage } from "../storage/storage.ts"

/** How many streams there are. */
export class StreamCount extends Context.Service<StreamCount, { readonly current: () => number }>()(
  "durable-streams/manager/stream-limit/StreamCount"
) {}

export const layerStreamLimit: Layer.Layer<Storage | StreamCount, never, Storage> = Layer.effectContext(
  Effect.gen(function*() {
    const storage = yield* Storage
    const { streamsMax } = yield* CurrentLimits
    // Names and not a number: a stream that was taken away by hand may be found missing more than once.
    const names = new Set((yield* storage.atStart).listed.filter((name) => !isReserved(name)))
    const there = (name: StreamName) => Effect.sync(() => isReserved(name) || names.add(name))
    const gone = (name: StreamName) => Effect.sync(() => void names.delete(name))

    const limited = Storage.of({
      ...storage,
      open: (name) =>
        storage.open(name).pipe(
          Effect.tap((log) => log.hidden ? gone(name) : there(name)),
          Effect.tapErrorTag("StreamNotFound", () => gone(name))
        ),
      create: (description, first) =>
        Effect.suspend(() => {
          const { name } = description
          if (names.has(name) || isReserved(name)) return storage.create(description, first)
          if (names.size >= streamsMax) return Effect.fail(new TooManyStreams({ limit: streamsMax }))
          // Before the storage creates it: another creation may be under way.
          names.add(name)
          return Effect.onError(storage.create(description, first), () => gone(name))
        }),
      // If it fails the stream may still exist: the next opening decides.
      hide: (name) => Effect.tap(storage.hide(name), () => gone(name)),
      delete: (name) =>
        storage.delete(name).pipe(
          Effect.tap(() => gone(name)),
          Effect.tapErrorTag("StreamNotFound", () => gone(name))
        )
    })
    return Context.make(Storage, limited).pipe(
      Context.add(StreamCount, StreamCount.of({ current: () => names.size }))
    )
  })
)
