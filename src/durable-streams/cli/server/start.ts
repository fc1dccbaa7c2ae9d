/**
 * `server start`.
 */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { DaemonFailed } from "../../../data-directory/paths.ts"
import type { SettingTable } from "../../../domain/setting.ts"
import { findOrStart } from "../../daemon.ts"
import { checkBareVariables } from "../flags/bare-variables.ts"
import { settingsFlags, toSettings } from "../flags/settings-flags.ts"
import { program } from "../flags/stream-flags.ts"
import { print } from "../terminal.ts"
import { describe } from "./description.ts"

export const makeStart = (table: SettingTable) =>
  Command.make("start", settingsFlags(table), (input) =>
    Effect.gen(function*() {
      yield* checkBareVariables
      const settings = toSettings(input)
      const server = yield* findOrStart(settings)
      // Port 0 is any port, so the one that it has will do.
      if (!server.started && settings.port !== undefined && ![0, server.port].includes(settings.port)) {
        return yield* new DaemonFailed({
          message: `A server is already running on port ${server.port} (pid ${server.health.pid}). ` +
            `Move it with: server restart --port ${settings.port}`
        })
      }
      yield* print(`${server.started ? "Started" : "Already running"}: ${describe(server)}\n`)
    })).pipe(
      Command.withDescription("Start a server in the background"),
      Command.withExamples([{
        command: `${program} server start`,
        description: "Start one, or say that one is running"
      }])
    )
