/**
 * What a person can type: the tree of commands, and how it is run.
 */
import { Console, Effect } from "effect"
import { CliOutput, Command } from "effect/cli"
import { version } from "../domain/version.ts"
import { joinDashedValues } from "./cli/arguments.ts"
import { doctorCommand } from "./cli/doctor-command.ts"
import { WrongUsage } from "./cli/exit.ts"
import { serverCommand } from "./cli/server-commands.ts"
import { streamCommand } from "./cli/stream-commands.ts"
import { verifyCommand } from "./cli/verify-command.ts"
import { bytesFault } from "./process/argument-bytes.ts"
import { writeOutSoon } from "./process/stdout.ts"

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
  Command.withSubcommands([streamCommand, serverCommand, verifyCommand, doctorCommand])
)

/** A wrong use is told in one sentence (exit.ts), not under a page of help. */
const presenter: CliOutput.Presenter = {
  present: (event) => event._tag === "InvalidInvocation" ? Effect.void : CliOutput.defaultPresenter.present(event)
}

export const run = (args: ReadonlyArray<string>) =>
  Effect.suspend(() => {
    const fault = bytesFault(args)
    return fault === undefined
      ? Command.runWith(root, { version })(joinDashedValues(args))
      : Effect.fail(new WrongUsage(fault))
  }).pipe(
    Effect.provide(CliOutput.layerPresenter(presenter)),
    Effect.provideService(Console.Console, checkedConsole)
  )

/** Help, versions and completions come by the console: a failure to write them is seen as any other. */
const checkedConsole: Console.Console = Object.assign(Object.create(console) as Console.Console, {
  log: (...parts: ReadonlyArray<unknown>) => writeOutSoon(`${parts.join(" ")}\n`)
})
