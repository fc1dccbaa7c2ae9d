/**
 * The suites in short, with fixed seeds: what they find in minutes and hours, `npm run chaos` finds (docs/trust.md). Others
 * are in files of their own. What cannot be tried on this machine is skipped, and the test says why.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { assert, describe, it } from "vitest"
import { build } from "../built.ts"
import { daemon } from "./daemon.ts"
import { flush } from "./flush.ts"
import { histories } from "./histories.ts"
import { idle } from "./idle.ts"
import { briefCases, io } from "./io.ts"
import { kill9 } from "./kill9.ts"
import { powercut } from "./powercut.ts"
import { Random } from "./random.ts"
import { slowloris } from "./slowloris.ts"
import { stalled } from "./stalled.ts"
import type { Options, Suite } from "./suite.ts"
import { briefly } from "./suite.ts"
import { weaknesses } from "./weaknesses.ts"

build()

/** Ten times what the longest takes. */
const timeout = 120_000

const short: ReadonlyArray<readonly [Suite, rounds: number, options?: Partial<Options>]> = [
  [kill9, 6],
  [histories, 4],
  [daemon, 1],
  [weaknesses, 1],
  [powercut, 1],
  [flush, 1],
  [stalled, 1, { connections: 10 }],
  [idle, 1, { connections: 100 }],
  [slowloris, 1, { connections: 20 }],
  // Each for itself, since not every machine can be made to do each.
  ...briefCases.map((target) => [io, 1, { target }] as const)
]

describe("in short", () => {
  for (const [suite, rounds, options = {}] of short) {
    it(`${suite.name}: ${options.target ?? suite.about}`, { timeout }, async ({ skip }) => {
      const directory = fs.mkdtempSync(Path.join(os.tmpdir(), `durable-streams-chaos-${suite.name}-`))
      const seed = 1
      const random = new Random(seed)
      const outcome = await suite.run({ rounds, seed, random, directory, say: () => {}, options: briefly(options) })
      const { left = [], violations } = "skipped" in outcome ? { left: [outcome.skipped], violations: [] } : outcome
      assert.deepStrictEqual(violations, [])
      fs.rmSync(directory, { recursive: true, force: true })
      skip(left.length > 0, left.join("; "))
    })
  }
})
