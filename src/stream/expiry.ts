/**
 * When a stream expires (docs/protocol.md 10): at a moment that was set when it was created, or so many seconds after it
 * was last used.
 */
import { type Clock, Effect } from "effect"
import { rfc3339Millis } from "../domain/rfc3339.ts"
import type { Log } from "../storage/storage.ts"

/** Knows when a stream that is awake was last used. */
export class Lifetime {
  readonly #log: Log
  readonly #expiresAt: number | undefined
  readonly #ends: boolean
  #usedAt: number
  #notedAt: number

  constructor(log: Log) {
    this.#log = log
    const { expiresAt, ttlSeconds } = log.description
    this.#ends = expiresAt !== undefined || ttlSeconds !== undefined
    this.#expiresAt = expiresAt === undefined ? undefined : toMillis(expiresAt)
    this.#usedAt = this.#notedAt = Math.max(log.touchedAt, toMillis(log.description.createdAt))
  }

  /** The stream is used now. Returns whether that should be stored: a restart loses uses that were not stored. */
  use(clock: Clock.Clock): boolean {
    const { ttlSeconds } = this.#log.description
    if (ttlSeconds === undefined) return false
    this.#usedAt = clock.currentTimeMillisUnsafe()
    // If the clock was set back, the stored time is as far off.
    return Math.abs(this.#usedAt - this.#notedAt) >= noteEvery(ttlSeconds)
  }

  /** Stores the newest use, unless it is stored already. */
  readonly note = Effect.suspend(() => {
    if (this.#usedAt === this.#notedAt) return Effect.void
    this.#notedAt = this.#usedAt
    return this.#log.touch(this.#usedAt)
  })

  /** Milliseconds since 1970; undefined: never. A stream that is read or waited for is used all the time. */
  due(now: number, isInUse: boolean): number | undefined {
    const { description: { ttlSeconds }, hidden } = this.#log
    if (hidden) return undefined
    if (this.#expiresAt !== undefined) return this.#expiresAt
    return ttlSeconds === undefined ? undefined : (isInUse ? now : this.#usedAt) + ttlSeconds * 1000
  }

  isDue(clock: Clock.Clock, isInUse: boolean): boolean {
    // Most streams never end by themselves: this is asked at each append.
    if (!this.#ends) return false
    const now = clock.currentTimeMillisUnsafe()
    const at = this.due(now, isInUse)
    return at !== undefined && now >= at
  }
}

/** In milliseconds: a tenth of the time to live, so that a restart shortens it by no more, and at most a minute. */
const noteEvery = (ttlSeconds: number): number => Math.min(ttlSeconds * 100, 60_000)

/** A log of an older version may hold an impossible day (30 February): it counts as the day that `Date` makes of it. */
const toMillis = (rfc3339: string): number => rfc3339Millis(rfc3339) ?? Date.parse(rfc3339)
