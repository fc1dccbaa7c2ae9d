/**
 * The news that subscriptions missed while no server ran, found at the start: tails are compared with cursors, and names with
 * patterns. If the disk does not answer, it is asked again: no event waits for the next append to be told.
 */
import { Effect } from "effect"
import type { StorageError } from "../../domain/errors.ts"
import type { StreamName } from "../../domain/types.ts"
import type { Interest } from "./interest.ts"
import type { Runner } from "./runner.ts"
import type { StreamLookup } from "./stream-lookup.ts"

type Names = Effect.Effect<ReadonlyArray<StreamName>, StorageError>

/** Returns a function that tells a runner the news it missed. The caller waits until all runners listen. */
export const makeMissedNews = Effect.fnUntraced(function*(
  names: Names,
  interest: Interest<Runner>,
  lookup: StreamLookup,
  fork: (effect: Effect.Effect<void>) => unknown
) {
  const meantNow = yield* Effect.cached(meantBy(names, interest))
  const meantLater = yield* Effect.cached(untilListed(meantBy(names, interest), pauseMin))

  const tell = (runner: Runner, paths: Iterable<string>, pauseMillis = pauseMin): Effect.Effect<void> =>
    Effect.flatMap(lookup.each(paths, (path, news) => runner.tellMissed(path, news)), (left) =>
      Effect.sync(() => {
        runner.kick()
        if (left.length === 0) return runner.endCatchUp()
        fork(Effect.andThen(Effect.sleep(pauseMillis), tell(runner, left, Math.min(pauseMax, pauseMillis * 2))))
      }))

  return (runner: Runner, linked: Iterable<string>): Effect.Effect<void> => {
    const tellAll = (meant: Meant) => tell(runner, new Set([...linked, ...meant.get(runner) ?? []]))
    return Effect.catch(Effect.flatMap(meantNow, tellAll), () =>
      Effect.sync(() => {
        runner.kick()
        fork(Effect.flatMap(meantLater, tellAll))
      }))
  }
})

/** The names that each runner's pattern means. */
type Meant = ReadonlyMap<Runner, ReadonlyArray<string>>

const meantBy = Effect.fnUntraced(function*(names: Names, interest: Interest<Runner>) {
  const byRunner = new Map<Runner, Array<string>>()
  for (const [i, name] of (yield* names).entries()) {
    // A search in the index takes some microseconds, and never more than a fraction of a millisecond.
    if (i % 20 === 19) yield* Effect.yieldNow
    for (const runner of yield* interest.findMeant(name)) {
      const known = byRunner.get(runner)
      if (known === undefined) byRunner.set(runner, [name])
      else known.push(name)
    }
  }
  return byRunner
})

const untilListed = <A>(listing: Effect.Effect<A, StorageError>, pauseMillis: number): Effect.Effect<A> =>
  Effect.catch(listing, (error) =>
    Effect.logError(`The streams could not be listed: ${error.message}`).pipe(
      Effect.andThen(Effect.sleep(pauseMillis)),
      Effect.andThen(Effect.suspend(() => untilListed(listing, Math.min(pauseMax, pauseMillis * 2))))
    ))

/** The pause before the next attempt, in milliseconds, doubled each time. */
const pauseMin = 1_000
const pauseMax = 60_000
