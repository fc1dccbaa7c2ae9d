/**
 * What a transition takes from outside: the time, and chance.
 */
import { Clock, Effect, Random } from "effect"
import type { Moment } from "../machine/transition-draft.ts"

/**
 * Moments by the clock as it was set at the start, and from then on by one that nobody sets: a lease is as long as it was
 * said to be, whatever becomes of the time of day.
 */
export const makeMomentSource: Effect.Effect<Effect.Effect<Moment>> = Effect.map(Clock.Clock, (clock) => {
  const steady = () => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
  const origin = clock.currentTimeMillisUnsafe() - steady()
  return Effect.gen(function*() {
    return {
      now: Math.round(origin + steady()),
      wakeId: `w_${digits(yield* Random.next)}${digits(yield* Random.next)}`,
      chance: yield* Random.next
    }
  })
})

/** Twelve digits of chance. */
const digits = (chance: number): string => Math.floor(chance * 16 ** 12).toString(16).padStart(12, "0")
