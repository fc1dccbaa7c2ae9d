/**
 * `server`: the commands that run a server and manage it.
 */
import { Command } from "effect/cli"
import type { SettingTable } from "../../domain/setting.ts"
import { program } from "./flags/stream-flags.ts"
import { makeRestart } from "./server/restart.ts"
import { makeRun } from "./server/run.ts"
import { makeStart } from "./server/start.ts"
import { statusCommand } from "./server/status.ts"
import { stopCommand } from "./server/stop.ts"

export const makeServerCommand = (table: SettingTable) =>
  Command.make("server").pipe(
    Command.withDescription("Run and manage the server"),
    Command.withExamples([{ command: `${program} server start`, description: "Start a server in the background" }]),
    Command.withSubcommands([makeRun(table), makeStart(table), stopCommand, makeRestart(table), statusCommand])
  )
