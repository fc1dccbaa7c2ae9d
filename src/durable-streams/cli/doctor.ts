/**
 * `doctor`.
 */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { toVisible } from "../../domain/visible-text.ts"
import type { Checked } from "../doctor/finding.ts"
import { defaultPort } from "../server/settings.ts"
import { remoteUrl } from "./connection.ts"
import { Logged } from "./exit.ts"
import { dataDirectoryFlag, placeOfEnvironment } from "./flags/settings-flags.ts"
import { program, reportOutput } from "./flags/stream-flags.ts"
import { print } from "./terminal.ts"

export const doctorCommand = Command.make(
  "doctor",
  { output: reportOutput, dataDirectory: dataDirectoryFlag },
  ({ dataDirectory, output }) =>
    Effect.gen(function*() {
      // Only this command needs the code of the checks; the others start faster without it.
      const { examine } = yield* Effect.promise(() => import("../doctor/checks.ts"))
      const { host, port } = yield* placeOfEnvironment
      const healthy = yield* examine({
        dataDirectory,
        host,
        port: port ?? defaultPort,
        portAsked: port !== undefined,
        url: yield* remoteUrl,
        onChecked: (checked) => print(`${output === "json" ? json(checked) : toVisible(text(checked))}\n`)
      })
      if (!healthy) return yield* new Logged({ code: 1 })
    })
).pipe(
  Command.withDescription("Check everything a server needs; for each problem, print how to fix it"),
  Command.withExamples([
    { command: `${program} doctor`, description: "A line for each check; exit code 1 if one fails" },
    {
      command: `DURABLE_STREAMS_URL=https://streams.example ${program} doctor`,
      description: "Also whether a proxy holds events back"
    }
  ])
)

const json = ({ advice, check, says, status }: Checked) =>
  JSON.stringify({ check, status, says, advice: advice ?? null })

const text = ({ advice, check, says, status }: Checked) =>
  `${status.padEnd(4)}  ${check}: ${says}${advice === undefined ? "" : ` ${advice}`}`
