/**
 * Time by a clock that nobody sets, for how long something took or may take: the time of day can go back by years.
 */
import type { Clock } from "effect"

/** Milliseconds since some moment that stays the same while the process lives. */
export const steadyMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
