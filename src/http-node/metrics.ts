/**
 * The metrics of sockets: `durable_streams_http_connections`, how many are open now, and
 * `durable_streams_event_loop_delay_seconds`, how long the event loop was late at most since the last reading.
 */
import { Effect, type Scope } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { registerGauge } from "../domain/metrics.ts"

/** How often Node measures. This needs a timer, which starts with the first reading: a server without readings has none. */
const resolutionMillis = 20

/** Registers the metrics until the scope closes. `connections` returns how many connections are open now. */
export const registerSocketMetrics = (connections: () => number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    let delay: ReturnType<typeof monitorEventLoopDelay> | undefined
    yield* Effect.addFinalizer(() => Effect.sync(() => delay?.disable()))
    yield* registerGauge({ name: "http_connections", description: "Connections that are open" }, connections)
    yield* registerGauge(
      {
        name: "event_loop_delay_seconds",
        description: "How late the event loop was at most since the last reading; the first reading begins to measure"
      },
      () => {
        if (delay === undefined) {
          delay = monitorEventLoopDelay({ resolution: resolutionMillis })
          delay.enable()
          return 0
        }
        const latest = Math.max(0, delay.max / 1e9 - resolutionMillis / 1e3)
        delay.reset()
        return latest
      }
    )
  })
