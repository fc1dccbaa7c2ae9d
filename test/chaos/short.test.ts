/**
 * The suites in short, with fixed seeds: what they find in minutes and hours, `npm run chaos` finds (docs/trust.md). Others
 * are in files of their own.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { assert, describe, it } from "vitest"
import { build } from "../built.ts"
import { daemon } from "./daemon.ts"
import { failpoints } from "./failpoints.ts"
import { flush } from "./flush.ts"
import { histories } from "./histories.ts"
import { idle } from "./idle.ts"
import { io } from "./io.ts"
import { kill9 } from "./kill9.ts"
import { powercut } from "./powercut.ts"
import { Random } from "./random.ts"
import { slowloris } from "./slowloris.ts"
import { soak } from "./soak.ts"
import { stalled } from "./stalled.ts"
import type { Suite } from "./suite.ts"
import { briefly } from "./suite.ts"
import { weaknesses } from "./weaknesses.ts"

build()

/** Ten times what the longest takes. */
const timeout = 120_000

describe("in short", () => {
  const short: ReadonlyArray<readonly [Suite, rounds: number, connections?: number]> = [
    [kill9, 6],
    [histories, 4],
    [daemon, 4],
    [failpoints, 1],
    [soak, 1],
    [weaknesses, 1],
    [powercut, 1],
    [flush, 1],
    [io, 1],
    [stalled, 1, 10],
    [idle, 1, 100],
    [slowloris, 1, 20]
  ]
  for (const [suite, rounds, connections] of short) {
    it(`${suite.name}: ${suite.about}`, { timeout }, async ({ skip }) => {
      const directory = fs.mkdtempSync(Path.join(os.tmpdir(), `durable-streams-chaos-${suite.name}-`))
      const seed = 1
      const options = briefly({ connections })
      const outcome = await suite.run({ rounds, seed, random: new Random(seed), directory, say: () => {}, options })
      if ("skipped" in outcome) {
        fs.rmSync(directory, { recursive: true, force: true })
        return skip(outcome.skipped)
      }
      assert.deepStrictEqual(outcome.violations, [])
      fs.rmSync(directory, { recursive: true, force: true })
    })
  }
})
