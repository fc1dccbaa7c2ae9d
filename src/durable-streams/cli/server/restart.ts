/**
 * `server restart`.
 */
import { Effect } from "effect"
import { Command } from "effect/cli"
import type { SettingTable } from "../../../domain/setting.ts"
import { findOrStart, stop } from "../../daemon.ts"
import { fromHealth } from "../../server/given-settings.ts"
import { checkBareVariables } from "../flags/bare-variables.ts"
import type { Input } from "../flags/settings-flags.ts"
import { settingsFlags, toSettings } from "../flags/settings-flags.ts"
import { program } from "../flags/stream-flags.ts"
import { print, tell } from "../terminal.ts"
import { describe } from "./description.ts"

export const makeRestart = (table: SettingTable) =>
  Command.make("restart", settingsFlags(table), (input) =>
    Effect.gen(function*() {
      // A server that could not come back is not stopped.
      yield* checkBareVariables
      const stopped = yield* stop(input.dataDirectory)
      if (stopped === undefined) yield* tell("No server was running.")
      // Every setting that is not asked for stays as it was: followers find the server again, with its streams.
      const kept = stopped && { ...fromHealth(table, stopped.health), port: stopped.port }
      const settings = toSettings(input, kept)
      const server = yield* findOrStart(settings).pipe(
        // Another program may have taken the port meanwhile. If the person did not ask for it, any other port will do.
        Effect.catchIf(
          () => !isPortAsked(input) && settings.port !== undefined,
          () => findOrStart({ ...settings, port: undefined })
        )
      )
      yield* print(`${stopped === undefined ? "Started" : "Restarted"}: ${describe(server)}\n`)
    })).pipe(
      Command.withDescription("Stop the background server and start it again"),
      Command.withExamples([{
        command: `${program} server restart --port 3000`,
        description: "Followers reconnect by themselves"
      }])
    )

const isPortAsked = ({ settings }: Input): boolean => settings["port"]?._tag === "Some"
