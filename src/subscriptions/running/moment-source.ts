/**
 * The source of time and chance for transitions.
 */
import { Clock, Effect, Random } from "effect"
import type { Moment } from "../machine/transition-draft.ts"

/**
 * Moments begin with the time of day at the start and go on by a clock that cannot be set: a lease keeps its length when the
 * time of day is changed.
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
