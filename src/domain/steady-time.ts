/**
 * A clock that cannot be set, to measure how long something takes: the time of day can go back by years.
 */
import type { Clock } from "effect"

/** Milliseconds since a moment that stays the same while the process runs. */
export const steadyMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
