/**
 * Cursors of live answers (docs/protocol.md 15): they change as time passes, so that no cache between client and server
 * answers a waiting client with the same old answer for ever.
 */
import { Clock, Effect, Random } from "effect"

const intervalMillis = 20_000
const epoch = Date.UTC(2024, 9, 9)
/** An hour: clients whose cursors are ahead are spread over it. */
const jitterMax = 3600_000 / intervalMillis

/** The cursor for a client that sent `given`. One that is no cursor counts as none. */
export const nextCursor = Effect.fnUntraced(function*(given: string | undefined) {
  const current = currentCursor(yield* Clock.currentTimeMillis)
  const client = given !== undefined && /^\d{1,15}$/.test(given) ? Number(given) : -1
  return client < current ? current : client + (yield* Random.nextIntBetween(1, jitterMax))
})

/** The interval in which the time (milliseconds since 1970) is. */
export const currentCursor = (time: number): number => Math.max(0, Math.floor((time - epoch) / intervalMillis))
