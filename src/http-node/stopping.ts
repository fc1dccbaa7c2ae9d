/**
 * The last service of a server that stops: it accepts every client that has connected, and a client that it answered a
 * moment ago may send one more request.
 */
import { Effect } from "effect"
import type * as Http from "node:http"
import type { Connections } from "./connections.ts"

/** A local client sends its next request within this time, even on a busy machine. It delays no stop by more. */
const idleGraceMillis = 250

/** If clients never stop coming, the last of them are cut off. A whole backlog of 1024 is accepted in a fraction of this. */
const arrivalsMillis = 250

/**
 * Waits until every client that has connected is accepted. The system would reset a connection that it still holds for the
 * server, and its client could not know what became of its request. Each turn of the event loop accepts a single
 * connection, so the wait ends with a turn that brings none. It looks every second turn, because the turn in which it
 * begins may have accepted one already.
 */
export const acceptArrivals = (connections: Connections) =>
  Effect.callback<void>((resume) => {
    const startedAt = performance.now()
    let lastCount = -1
    const look = () => {
      if (connections.acceptedCount === lastCount || performance.now() - startedAt > arrivalsMillis) {
        return resume(Effect.void)
      }
      lastCount = connections.acceptedCount
      next = setImmediate(() => next = setImmediate(look))
    }
    let next = setImmediate(look)
    return Effect.sync(() => clearImmediate(next))
  })

/** Closes idle connections after the time in which a client that was answered a moment ago may send one more request. */
export const closeIdleAfterGrace = (server: Http.Server) =>
  Effect.callback<void>((resume) => {
    // Real time and not the program's clock: a test that holds the clock must not hold connections.
    // @effect-diagnostics-next-line globalTimersInEffect:off
    const timer = setTimeout(() => {
      server.closeIdleConnections()
      resume(Effect.void)
    }, idleGraceMillis)
    return Effect.sync(() => clearTimeout(timer))
  })
