/**
 * A server's place in the network: taken, or told why it cannot be; what goes wrong there later is logged and ends nothing.
 */
import { Effect } from "effect"
import type * as Http from "node:http"
import { ServerNotStarted } from "./server-not-started.ts"

/** Without descriptors every connection that comes is an error; a line a second says as much as all of them. */
const complainEveryMillis = 1_000

/** Waits until the server listens. */
export const listen = Effect.fnUntraced(function*(server: Http.Server, { host, port }: Place) {
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  let saidAt = -Infinity
  const complain = ({ code, message }: NodeJS.ErrnoException) => {
    if (performance.now() < saidAt + complainEveryMillis) return
    saidAt = performance.now()
    runFork(Effect.annotateLogs(Effect.logError("A connection could not be accepted"), { code, error: message }))
  }
  yield* Effect.callback<void, ServerNotStarted>((resume) => {
    server.on("error", (cause: NodeJS.ErrnoException) => {
      if (server.listening) complain(cause)
      else resume(Effect.fail(new ServerNotStarted({ host, port, code: cause.code ?? "UNKNOWN", cause })))
    })
    // Everything accepted at once waits here rather than being refused.
    server.listen({ host, port, backlog: 1024 }, () => resume(Effect.void))
  })
})

interface Place {
  readonly host: string
  readonly port: number
}
