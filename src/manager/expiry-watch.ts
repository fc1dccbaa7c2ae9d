/**
 * Deletes streams that have expired and have no user. A user of an expired stream finds it gone at once (`stream.ts`); this
 * watch is for the list of streams, and for the disk.
 */
import { Clock, Effect } from "effect"
import type { LogDamaged, Overloaded, StorageError } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import type { Observe } from "./observe.ts"

/** How long an expired stream may still be listed. */
const lookEvery = "5 seconds"

/** After a failed look, so many looks are left out: its cause will hardly be over at once. */
const looksLeftOut = 12

/** `expire` deletes a stream that is due, and answers when it will be (milliseconds since 1970). */
export const watchExpiry = Effect.fnUntraced(function*(
  expiring: ReadonlyArray<StreamName>,
  observe: Observe,
  expire: (name: StreamName) => Effect.Effect<number | undefined, StorageError | LogDamaged | Overloaded>
) {
  /** When each stream has to be looked at. */
  const due = new Map(expiring.map((name): [StreamName, number] => [name, 0]))
  /** Streams whose look failed, and how many looks they still leave out: counted, since the time of day may be set back. */
  const paused = new Map<StreamName, number>()
  yield* observe("", {
    created: ({ expiresAt, name, ttlSeconds }) => {
      if (expiresAt !== undefined || ttlSeconds !== undefined) due.set(name, 0)
    },
    forgotten: ({ name }) => {
      due.delete(name)
      paused.delete(name)
    }
  })

  const look = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    for (const [name, at] of due) {
      if (at > now || isPaused(name)) continue
      const next = yield* expire(name).pipe(Effect.catch((error) =>
        Effect.logWarning(error.message).pipe(
          Effect.annotateLogs({ stream: name }),
          Effect.map(() => {
            paused.set(name, looksLeftOut)
            return 0
          })
        )
      ))
      if (next === undefined) due.delete(name)
      else due.set(name, next)
    }
  })

  const isPaused = (name: StreamName): boolean => {
    const left = paused.get(name)
    if (left === undefined) return false
    if (left > 1) paused.set(name, left - 1)
    else paused.delete(name)
    return true
  }

  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(lookEvery), look)))
})
