/**
 * The program: runs the command, turns signals into an orderly end, and its outcome into an exit code.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Deferred, Effect, Exit, Layer } from "effect"
import { toVisible } from "../domain/visible-text.ts"
import { endingOf, run, Shutdown } from "./cli.ts"
import { finishOut } from "./process/stdout.ts"

// Each flush of a log takes a thread; with Node's four, one slow disk would hold up every log (docs/decisions/0004).
process.env["UV_THREADPOOL_SIZE"] ??= "16"

let signal: NodeJS.Signals | undefined
let awaited = false
const signalled = Deferred.makeUnsafe<string>()

const shutdown = Layer.succeed(Shutdown, {
  signalled: Effect.suspend(() => {
    awaited = true
    return Deferred.await(signalled)
  })
})

/**
 * Not `fetch`: Node takes longer to load it than for all else a command does (docs/perf/command-line.md). Every request has
 * a connection of its own: a server that stops closes a kept connection just as the next request is sent on it, and the
 * command could not know whether the request was served. A new connection is refused, or served to the end. Redirects are
 * not followed: an event is for the server that was named, and for no other (RFC 9110 15.4).
 */
const httpClient = NodeHttpClient.layerNodeHttp

const fiber = Effect.runFork(
  run(process.argv.slice(2)).pipe(Effect.provide(Layer.mergeAll(NodeServices.layer, httpClient, shutdown)))
)

for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    // A second signal ends the process at once.
    if (signal !== undefined) process.exit(signalCodes[name])
    signal = name
    if (awaited) Deferred.doneUnsafe(signalled, Effect.succeed(name))
    else fiber.interruptUnsafe()
  })
}

// A log that cannot be written is no reason to stop serving.
process.stderr.on("error", () => {})

fiber.addObserver((exit) =>
  finishOut((failed) => {
    const ending = endingOf(exit)
    const { code, message } = ending.code === 0 && failed !== undefined ? endingOf(Exit.die(failed)) : ending
    if (message !== undefined) process.stderr.write(`${toVisible(message)}\n`)
    // Nothing that is still open (a keep-alive connection, stdin) is worth waiting for once the output is out.
    process.exit(signal !== undefined && code === 130 ? signalCodes[signal as keyof typeof signalCodes] : code)
  })
)

/** 128 and the signal's number, as shells have it. */
const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const
