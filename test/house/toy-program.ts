/**
 * The program with a made-up room: its settings are added in one line. Run as a script, it is that program.
 */
import { NodeHttpClient, NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { endingOf, run, Shutdown } from "../../src/durable-streams/cli.ts"
import { settings } from "../../src/durable-streams/server/settings.ts"
import { toySettings } from "./toy-room.ts"

/** The one line of composition. */
export const withToyRoom = { ...settings, ...toySettings }

if (process.argv[1] === import.meta.filename) {
  const shutdown = Layer.succeed(Shutdown, { signalled: Effect.never })
  const services = Layer.mergeAll(NodeServices.layer, NodeHttpClient.layerNodeHttp, shutdown)
  NodeRuntime.runMain(
    run(process.argv.slice(2), withToyRoom).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          const { code, message } = endingOf(exit)
          if (message !== undefined) process.stderr.write(`${message}\n`)
          process.exitCode = code
        })
      ),
      Effect.ignoreCause,
      Effect.provide(services)
    )
  )
}
