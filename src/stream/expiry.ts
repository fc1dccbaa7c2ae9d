/**
 * When a stream's time has come (docs/protocol.md 10): a moment that was set when it was made, or so many seconds after
 * it was last used.
 */
import { type Clock, Effect } from "effect"
import { rfc3339Millis } from "../domain/rfc3339.ts"
import type { Log } from "../storage/storage.ts"

/** When a stream that is awake was last used. */
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

  /** The stream is used now. Answers whether that is worth a note: a restart loses what was not noted. */
  use(clock: Clock.Clock): boolean {
    const { ttlSeconds } = this.#log.description
    if (ttlSeconds === undefined) return false
    this.#usedAt = clock.currentTimeMillisUnsafe()
    // Where the clock was set back, what was noted is as far off.
    return Math.abs(this.#usedAt - this.#notedAt) >= noteEvery(ttlSeconds)
  }

  /** Notes what was not noted yet. */
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

/** In milliseconds: a tenth of the time, which is what a restart can take off it, and not more than a minute. */
const noteEvery = (ttlSeconds: number): number => Math.min(ttlSeconds * 100, 60_000)

/** A log may hold a day that there is not (30 February), which was taken once: it is the one that `Date` makes of it. */
const toMillis = (rfc3339: string): number => rfc3339Millis(rfc3339) ?? Date.parse(rfc3339)
