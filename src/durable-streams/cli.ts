/**
 * The command line: the tree of commands, and how it is run.
 */
import { Console, Effect } from "effect"
import { CliOutput, Command } from "effect/cli"
import type { SettingTable } from "../domain/setting.ts"
import { version } from "../domain/version.ts"
import { doctorCommand } from "./cli/doctor.ts"
import { WrongUsage } from "./cli/exit.ts"
import { joinDashedValues } from "./cli/flags/dashed-values.ts"
import { makeServerCommand } from "./cli/server.ts"
import { streamCommand } from "./cli/stream.ts"
import { verifyCommand } from "./cli/verify.ts"
import { bytesFault } from "./process/argument-bytes.ts"
import { writeOutSoon } from "./process/stdout.ts"
import { CurrentSettings, settings } from "./server/settings.ts"

export { endingOf } from "./cli/exit.ts"
export { Shutdown } from "./cli/shutdown.ts"

const makeRoot = (table: SettingTable) =>
  Command.make("durable-streams").pipe(
    Command.withDescription("Durable streams: named logs to append to and to follow"),
    Command.withExamples([
      {
        command: "durable-streams stream append -n hello -m \"hello world\"",
        description: "Append, starting a server if need be"
      },
      { command: "durable-streams stream subscribe -n hello --offset -1", description: "Follow from the beginning" }
    ]),
    Command.withSubcommands([streamCommand, makeServerCommand(table), verifyCommand, doctorCommand])
  )

/** A wrong use ends with one sentence (exit.ts), not with a page of help. */
const presenter: CliOutput.Presenter = {
  present: (event) => event._tag === "InvalidInvocation" ? Effect.void : CliOutput.defaultPresenter.present(event)
}

/** Runs a command; `table` holds the settings of the server, and of the rooms that a program adds to it. */
export const run = (args: ReadonlyArray<string>, table: SettingTable = settings) =>
  Effect.suspend(() => {
    const fault = bytesFault(args)
    if (fault !== undefined) return Effect.fail(new WrongUsage(fault))
    const root = makeRoot(table)
    return Command.runWith(root, { version })(joinDashedValues(root, args))
  }).pipe(
    Effect.provide(CliOutput.layerPresenter(presenter)),
    Effect.provideService(Console.Console, checkedConsole),
    Effect.provideService(CurrentSettings, table)
  )

/** Help, versions and completions come by the console: a failure to write them counts like any other. */
const checkedConsole: Console.Console = Object.assign(Object.create(console) as Console.Console, {
  log: (...parts: ReadonlyArray<unknown>) => writeOutSoon(`${parts.join(" ")}\n`)
})
