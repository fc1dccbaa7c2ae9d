/**
 * What a person can type: the tree of commands, and how it is run.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer } from "effect"
import { CliOutput, Command } from "effect/cli"
import * as HttpClient from "effect/http/HttpClient"
import { joinDashedValues } from "./cli/arguments.ts"
import { serverCommand } from "./cli/server-commands.ts"
import { streamCommand } from "./cli/stream-commands.ts"
import { version } from "./version.ts"

export { endingOf } from "./cli/exit.ts"
export { Shutdown } from "./cli/shutdown.ts"

const root = Command.make("durable-streams").pipe(
  Command.withDescription("Durable streams: named logs to append to and to follow"),
  Command.withExamples([
    {
      command: "durable-streams stream append -n hello -m \"hello world\"",
      description: "Append, starting a server if need be"
    },
    { command: "durable-streams stream subscribe -n hello --offset -1", description: "Follow from the beginning" }
  ]),
  Command.withSubcommands([streamCommand, serverCommand])
)

/** A wrong use is told in one sentence (exit.ts), not under a page of help. */
const presenter: CliOutput.Presenter = {
  present: (event) => event._tag === "InvalidInvocation" ? Effect.void : CliOutput.defaultPresenter.present(event)
}

/**
 * Not `fetch`: to load it takes Node some 25 ms, a fifth of a command (docs/perf/command-line.md). Lines that are appended
 * as they come share a connection.
 */
const httpClient = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpClient.HttpClient, HttpClient.followRedirects())
).pipe(Layer.provide(NodeHttpClient.layerNodeHttpOptions({ keepAlive: true })))

export const run = (args: ReadonlyArray<string>) =>
  Command.runWith(root, { version })(joinDashedValues(args)).pipe(
    Effect.provide(Layer.mergeAll(CliOutput.layerPresenter(presenter), httpClient))
  )
