/**
 * When a stream's time has come (docs/protocol.md 14): a moment that was set when it was made, or so many seconds after
 * it was last used.
 */
import { DateTime } from "effect"
import type { StreamDescription } from "./storage.ts"

/** Milliseconds since 1970; undefined: never. `usedAt` is when the stream was last used. */
export const dueAt = ({ expiresAt, ttlSeconds }: StreamDescription, usedAt: number): number | undefined =>
  expiresAt !== undefined
    ? toMillis(expiresAt)
    : ttlSeconds !== undefined
    ? usedAt + ttlSeconds * 1000
    : undefined

/** How old the note of a stream's last use may be, in milliseconds: a tenth of the time that a restart could take off. */
export const noteEvery = (ttlSeconds: number): number => Math.min(ttlSeconds * 100, 60_000)

export const toMillis = (rfc3339: string): number => DateTime.toEpochMillis(DateTime.makeUnsafe(rfc3339))
