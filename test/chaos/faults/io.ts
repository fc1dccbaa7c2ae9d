/**
 * Disks that are full, broken, read-only, slow or gone, files that cannot be opened, clocks that jump, a process that
 * stands still, and logs that no reader takes (G6, G7): the server says so, keeps every acknowledged event, and goes on
 * when the trouble is over. The suite names every trouble that the machine cannot produce, and then it has not passed.
 */
import type { Random } from "../../support/random.ts"
import type { Suite } from "../harness/suite.ts"
import { Trial } from "../harness/trial.ts"
import { failedFlush, failedRead, slowFlush } from "./io-calls.ts"
import { emptied, fullDisk, fullFromTheStart, readOnly, shortWrite } from "./io-disk.ts"
import { clockJumps, deafLogs, fewFiles, fullPipe, standstill, wrongUser } from "./io-process.ts"

/** The input of one case. */
interface Trouble {
  readonly trial: Trial
  readonly random: Random
  readonly round: number
}

/**
 * A case. Returns the reason if the case could not run; the trial knows the parts that were missing from a case that
 * ran.
 */
export type Case = (trouble: Trouble) => Promise<string | undefined>

const cases: Readonly<Record<string, Case>> = {
  "full-disk": fullDisk,
  "full-from-the-start": fullFromTheStart,
  "short-write": shortWrite,
  "failed-flush": failedFlush,
  "failed-read": failedRead,
  "few-files": fewFiles,
  "wrong-user": wrongUser,
  "read-only": readOnly,
  "emptied": emptied,
  "slow-flush": slowFlush,
  "clock-jumps": clockJumps,
  "standstill": standstill,
  "deaf-logs": deafLogs,
  "full-pipe": fullPipe
}

/** These take long, or fail falsely on a busy machine. */
const byTheClock = new Set(["few-files", "slow-flush", "clock-jumps"])

/** The cases of the short form. */
export const briefCases: ReadonlyArray<string> = Object.keys(cases).filter((name) => !byTheClock.has(name))

/** The number of violations shown of one case, so that those of the others are seen, too. */
const violationsShown = 5

export const io: Suite = {
  name: "io",
  about: "the server survives full, broken, read-only and slow disks, a lack of files, clock jumps and standstills",
  rounds: 5,
  run: async ({ directory, options, random, rounds, say }) => {
    const { brief, target } = options
    const chosen = Object.entries(cases).filter(([name]) =>
      target === undefined ? !brief || briefCases.includes(name) : name === target
    )
    if (chosen.length === 0) return { skipped: `there is no case named ${target}` }
    const counts = { cases: 0, left: 0, acked: 0, refused: 0, unknown: 0 }
    const violations: Array<string> = []
    const left = new Set<string>()
    for (let round = 0; round < rounds; round++) {
      for (const [name, run] of chosen) {
        const trial = await Trial.make(directory, `${name}-${round}`)
        let reason: string | undefined
        try {
          reason = await run({ trial, random: random.fork(), round })
        } catch (error) {
          trial.expect(false, String(error))
          await trial.end()
        }
        if (reason === undefined) counts.cases++
        else {
          counts.left++
          await trial.end()
        }
        for (const each of reason === undefined ? trial.left : [reason]) left.add(`${name}: ${each}`)
        counts.acked += trial.ledger.count("ok")
        counts.refused += trial.ledger.count("refused")
        counts.unknown += trial.ledger.count("unknown")
        violations.push(...trial.violations.slice(0, violationsShown))
        say(`${name}: ${reason ?? `${trial.ledger.count("ok")} acknowledged, ${trial.violations.length} violations`}`)
      }
    }
    return { counts, violations, left: [...left] }
  }
}
