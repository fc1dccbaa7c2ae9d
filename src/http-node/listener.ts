/**
 * The server's place in the network as a service: rooms can ask for it before the server listens, and learn later at which
 * address it listens and how many connections are open.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { registerSocketMetrics } from "./metrics.ts"
import type { RunningServer, ServerOptions } from "./node-server.ts"
import { serve } from "./node-server.ts"
import type { ServerNotStarted } from "./server-not-started.ts"

export class Listener extends Context.Service<Listener, {
  /** Starts to listen, and stops with the scope. A listener listens once. */
  readonly listen: (options: ServerOptions) => Effect.Effect<RunningServer, ServerNotStarted, Scope.Scope>
  /** The address at which it listens; undefined before it listens. */
  readonly address: () => { readonly host: string; readonly port: number } | undefined
  /** How many connections are open now; 0 before it listens. */
  readonly connections: () => number
}>()("durable-streams/http-node/listener") {
  static readonly layer: Layer.Layer<Listener> = Layer.effect(
    Listener,
    Effect.gen(function*() {
      let running: RunningServer | undefined
      const connections = () => running?.connections() ?? 0
      yield* registerSocketMetrics(connections)
      return Listener.of({
        listen: (options) =>
          Effect.suspend(() =>
            running === undefined
              ? Effect.tap(serve(options), (server) => Effect.sync(() => running = server))
              : Effect.die(new Error(isShared))
          ),
        address: () => running,
        connections
      })
    })
  )
}

/**
 * Layers are built once for all parts of a program that Effect builds together. So a server that is built inside a program
 * that another server was provided to would share that server's streams, and would serve them as its own.
 */
const isShared = "This program has a server already, and a second one would share its streams. " +
  "Build the second server with its own layers: Layer.fresh(Server.layer(...))"
