/**
 * `server status`.
 */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import type { Found } from "../../daemon.ts"
import { find } from "../../daemon.ts"
import { NotRunning } from "../connection.ts"
import { dataDirectoryFlag } from "../flags/settings-flags.ts"
import { program } from "../flags/stream-flags.ts"
import { print, tell } from "../terminal.ts"
import { describe } from "./description.ts"

export const statusCommand = Command.make("status", {
  dataDirectory: dataDirectoryFlag,
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON"), Flag.withDefault(false))
}, ({ dataDirectory, json }) =>
  Effect.gen(function*() {
    const found = yield* find(dataDirectory)
    if (json) {
      yield* print(`${
        JSON.stringify(
          found === undefined ? { status: "stopped", dataDirectory } : {
            ...withoutProcess(found.health),
            status: "running",
            url: found.url,
            port: found.port
          }
        )
      }\n`)
    }
    if (found === undefined) return yield* new NotRunning({ dataDirectory })
    if (!json) yield* print(`Running: ${describe(found)}, up ${duration(found.health.uptimeSeconds)}\n`)
    if (!json && found.health.reason !== undefined) yield* tell(found.health.reason)
  })).pipe(
    Command.withDescription("Say whether a server is running, and where"),
    Command.withExamples([
      { command: `${program} server status`, description: "Exit code 3 when none is" },
      { command: `${program} server status --json`, description: "For scripts" }
    ])
  )

/** Only `server stop` needs to tell the process from others that had its number. */
const withoutProcess = ({ process: _, ...health }: Found["health"]) => health

const duration = (seconds: number): string =>
  seconds < 60 ? `${seconds}s` : seconds < 3600 ? `${Math.floor(seconds / 60)}m` : `${Math.floor(seconds / 3600)}h`
