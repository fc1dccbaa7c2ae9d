/**
 * Gives a server its place in the network, or says why it cannot have it. Later errors there are logged and end nothing.
 */
import { Effect } from "effect"
import type * as Http from "node:http"
import { ServerNotStarted } from "./server-not-started.ts"

/** When descriptors run out, every new connection is an error. One line a second says as much as a line for each. */
const logEveryMillis = 1_000

/** Waits until the server listens. Fails when it cannot. */
export const listen = Effect.fnUntraced(function*(server: Http.Server, { host, port }: Place) {
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  let loggedAt = -Infinity
  const logError = ({ code, message }: NodeJS.ErrnoException) => {
    if (performance.now() < loggedAt + logEveryMillis) return
    loggedAt = performance.now()
    runFork(Effect.annotateLogs(Effect.logError("A connection could not be accepted"), { code, error: message }))
  }
  yield* Effect.callback<void, ServerNotStarted>((resume) => {
    server.on("error", (cause: NodeJS.ErrnoException) => {
      if (server.listening) logError(cause)
      else resume(Effect.fail(new ServerNotStarted({ host, port, code: cause.code ?? "UNKNOWN", cause })))
    })
    // Clients that connect at the same moment wait here instead of being refused.
    server.listen({ host, port, backlog: 1024 }, () => resume(Effect.void))
  })
})

interface Place {
  readonly host: string
  readonly port: number
}
