/**
 * `verify`: every byte of every log, checked.
 */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { requireAbsolute } from "../../data-directory/paths.ts"
import { toOffset } from "../../domain/types.ts"
import { toVisible } from "../../domain/visible-text.ts"
import type { LogFault, Verified } from "../doctor/verify-data.ts"
import { Logged } from "./exit.ts"
import { dataDirectoryFlag } from "./flags/settings-flags.ts"
import { program, reportOutput } from "./flags/stream-flags.ts"
import { print, tell } from "./terminal.ts"

export const verifyCommand = Command.make("verify", {
  repair: Flag.Boolean("repair").pipe(
    Flag.withDescription(
      "Copy each file with a torn end, then cut the end as the next start would; no server may run"
    ),
    Flag.withDefault(false)
  ),
  output: reportOutput,
  dataDirectory: dataDirectoryFlag
}, ({ dataDirectory, output, repair }) =>
  Effect.gen(function*() {
    requireAbsolute(dataDirectory)
    // Only this command needs the code that reads logs; the others start faster without it.
    const { verifyData } = yield* Effect.promise(() => import("../doctor/checks.ts"))
    const asJson = output === "json"
    const verified = yield* verifyData({
      dataDirectory,
      repair,
      onFault: (fault) => print(`${asJson ? JSON.stringify(faultJson(fault)) : toVisible(faultText(fault))}\n`),
      onInUse: (state) =>
        tell(
          state === "held"
            ? "A server is using this data directory: logs may grow while they are read."
            : "A server may be using this data directory, the system does not say: logs may grow while they are read."
        )
    })
    yield* print(`${asJson ? JSON.stringify({ type: "summary", ...verified }) : summaryText(verified)}\n`)
    if (verified.faults > verified.repaired) return yield* new Logged({ code: 1 })
  })).pipe(
    Command.withDescription("Check every byte of every log in the data directory; no server is needed or started"),
    Command.withExamples([
      { command: `${program} verify`, description: "Exit code 1 if anything is wrong" },
      { command: `${program} verify --repair`, description: "Cut the commits that a crash left unfinished" },
      { command: `${program} verify -o json --data-dir /backup/iterate`, description: "A copy, for scripts" }
    ])
  )

const faultJson = ({ kind, offset, repaired, torn, ...fault }: LogFault) => ({
  type: "fault",
  stream: fault.stream ?? null,
  file: fault.file,
  kind,
  position: fault.position,
  soundBefore: toOffset(offset),
  problem: fault.problem,
  tornBytes: torn,
  ...(repaired === undefined ? {} : {
    repair: {
      done: repaired.failed === undefined,
      cutBytes: repaired.bytes,
      copy: repaired.copy ?? null,
      problem: repaired.failed ?? null
    }
  })
})

const faultText = ({ file, kind, offset, position, problem, repaired, stream }: LogFault): string => {
  const where = `${stream ?? "(unknown)"}: streams/${file}`
  const what = `${kind} at byte ${position}: ${problem}. Sound before offset ${toOffset(offset)}.`
  if (repaired === undefined) return `${where}: ${what}`
  return `${where}: ${what} ${
    repaired.failed === undefined
      ? `Cut ${repaired.bytes} bytes; the file as it was is ${repaired.copy}.`
      : `Not repaired: ${repaired.failed}.`
  }`
}

const summaryText = ({ bytes, events, faults, growing, logs, repaired, restorable }: Verified): string => {
  const outcome = faults === 0 ? "all are sound" : faults === 1 ? "1 is not sound" : `${faults} are not sound`
  return `Checked ${countText(logs, "log")}, ${countText(events, "event")}, ${countText(bytes, "byte")}: ${outcome}.` +
    (repaired === 0 ? "" : ` Repaired: ${repaired}.`) +
    (restorable === 0 ? "" : ` Completed from the journal at the next start: ${restorable}.`) +
    (growing === 0 ? "" : ` Being written to: ${growing}.`)
}

const countText = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`
