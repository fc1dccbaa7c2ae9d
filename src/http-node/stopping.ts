/**
 * What a server that stops still does for its callers: whoever has connected is taken in, and whoever was answered a moment
 * ago may ask once more.
 */
import { Effect } from "effect"
import type * as Http from "node:http"
import type { Connections } from "./connections.ts"

/** From an answer to the next request of a local client, with room for a busy machine; no stop takes longer for it alone. */
const idleGraceMillis = 250

/** Where callers never stop coming, the last of them are cut off; a whole backlog of 1024 is taken within a fraction. */
const arrivalsMillis = 250

/**
 * Waits until all who have connected are accepted. What the system holds for us it would reset, and nobody could say what
 * had become of that request. Each turn of the event loop accepts a single connection, so this is over with a turn that brings
 * none. It looks every second turn, as the one in which it begins may have accepted already.
 */
export const allArrived = (connections: Connections) =>
  Effect.callback<void>((resume) => {
    const from = performance.now()
    let known = -1
    const look = () => {
      if (connections.taken === known || performance.now() - from > arrivalsMillis) return resume(Effect.void)
      known = connections.taken
      next = setImmediate(() => next = setImmediate(look))
    }
    let next = setImmediate(look)
    return Effect.sync(() => clearImmediate(next))
  })

/** Closes connections that nobody uses, once whoever was answered a moment ago has had the time to ask once more. */
export const closeIdleAfterGrace = (server: Http.Server) =>
  Effect.callback<void>((resume) => {
    // A matter of sockets and not of the program's time: a test that holds the clock must not hold connections.
    // @effect-diagnostics-next-line globalTimersInEffect:off
    const timer = setTimeout(() => {
      server.closeIdleConnections()
      resume(Effect.void)
    }, idleGraceMillis)
    return Effect.sync(() => clearTimeout(timer))
  })
