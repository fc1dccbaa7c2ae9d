/**
 * What happened to the streams of all subscriptions while no server ran, found at the start: tails are compared with cursors,
 * and names with patterns. If the disk does not answer, it is asked again: nothing that was appended waits for the next
 * append to be told.
 */
import { Effect } from "effect"
import type { StorageError } from "../../domain/errors.ts"
import type { StreamName } from "../../domain/types.ts"
import type { Interest } from "./interest.ts"
import type { Runner } from "./runner.ts"
import type { makeStreamLookup } from "./stream-lookup.ts"

type Names = Effect.Effect<ReadonlyArray<StreamName>, StorageError>

/** Learns what a runner has missed. Runners are given once all of them listen. */
export const makeMissedNews = Effect.fnUntraced(function*(
  list: Names,
  interest: Interest<Runner>,
  look: ReturnType<typeof makeStreamLookup>,
  fork: (effect: Effect.Effect<void>) => unknown
) {
  const meantNow = yield* Effect.cached(meantBy(list, interest))
  const meantLater = yield* Effect.cached(untilListed(meantBy(list, interest), pauseMin))

  const learn = (runner: Runner, paths: Iterable<string>, pauseMillis = pauseMin): Effect.Effect<void> =>
    Effect.flatMap(look.each(paths, (path, news) => runner.learn(path, news)), (left) =>
      Effect.sync(() => {
        runner.kick()
        if (left.length === 0) return runner.caughtUp()
        fork(Effect.andThen(Effect.sleep(pauseMillis), learn(runner, left, Math.min(pauseMax, pauseMillis * 2))))
      }))

  return (runner: Runner, linked: Iterable<string>): Effect.Effect<void> => {
    const learnAll = (meant: Meant) => learn(runner, new Set([...linked, ...meant.get(runner) ?? []]))
    return Effect.catch(Effect.flatMap(meantNow, learnAll), () =>
      Effect.sync(() => {
        runner.kick()
        fork(Effect.flatMap(meantLater, learnAll))
      }))
  }
})

/** The names that each runner's pattern means. */
type Meant = ReadonlyMap<Runner, ReadonlyArray<string>>

const meantBy = Effect.fnUntraced(function*(list: Names, interest: Interest<Runner>) {
  const byRunner = new Map<Runner, Array<string>>()
  for (const [i, name] of (yield* list).entries()) {
    // A look into the index is some microseconds, and never more than a fraction of a millisecond.
    if (i % 20 === 19) yield* Effect.yieldNow
    for (const runner of yield* interest.meant(name)) {
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

/** In milliseconds, doubled each time. */
const pauseMin = 1_000
const pauseMax = 60_000
