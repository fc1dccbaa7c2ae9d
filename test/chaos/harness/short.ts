/**
 * The short form of suites, with a fixed seed, as tests.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { assert, describe, it } from "vitest"
import { build } from "../../support/built.ts"
import { Random } from "../../support/random.ts"
import type { Options, Suite } from "./suite.ts"
import { briefly } from "./suite.ts"

/** Ten times the time that the longest takes. */
const timeout = 240_000

export type Short = readonly [Suite, rounds: number, options?: Partial<Options>]

/** A suite that cannot run here is skipped, with the reason. */
export const inShort = (suites: ReadonlyArray<Short>): void => {
  build()
  describe("in short", () => {
    for (const [suite, rounds, options = {}] of suites) {
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
}
