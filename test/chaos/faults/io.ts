/**
 * Disks that are full, broken, read-only, slow or gone, files that cannot be opened, clocks that jump, a process that
 * stands still, and logs that nobody takes (G6, G7): the server says so, keeps what it acknowledged, and goes on when the
 * trouble is over. What a machine cannot be made to do is said, and then the suite has not passed.
 */
import type { Random } from "../../support/random.ts"
import type { Suite } from "../harness/suite.ts"
import { Trial } from "../harness/trial.ts"
import { failedFlush, failedRead, slowFlush } from "./io-calls.ts"
import { emptied, fullDisk, fullFromTheStart, readOnly, shortWrite } from "./io-disk.ts"
import { clockJumps, deafLogs, fewFiles, fullPipe, standstill, wrongUser } from "./io-process.ts"

/** What one case is given. */
interface Trouble {
  readonly trial: Trial
  readonly random: Random
  readonly round: number
}

/** A case; where it answers something, that is why it could not be tried. What is missing from one that was, the trial knows. */
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

/** They take long, or a busy machine makes them look wrong. */
const byTheClock = new Set(["few-files", "slow-flush", "clock-jumps"])

/** Those of a short form. */
export const briefCases: ReadonlyArray<string> = Object.keys(cases).filter((name) => !byTheClock.has(name))

/** Of one case: the others are to be seen, too. */
const violationsShown = 5

export const io: Suite = {
  name: "io",
  about: "full, broken, read-only and slow disks, no files left, clocks that jump, standstills",
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
