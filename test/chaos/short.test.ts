/**
 * The suites in short, with fixed seeds: promises 1 to 5, 9 and 10 under kills and concurrency. The long forms are
 * `npm run chaos` (docs/trust.md).
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { assert, describe, it } from "vitest"
import { build } from "../built.ts"
import { daemon } from "./daemon.ts"
import { histories } from "./histories.ts"
import { kill9 } from "./kill9.ts"
import { Random } from "./random.ts"
import type { Suite } from "./suite.ts"
import { weaknesses } from "./weaknesses.ts"

build()

/** Ten times what the longest takes. */
const timeout = 120_000

describe("in short", () => {
  const short: ReadonlyArray<readonly [Suite, rounds: number]> = [
    [kill9, 6],
    [histories, 4],
    [daemon, 1],
    [weaknesses, 1]
  ]
  for (const [suite, rounds] of short) {
    it(`${suite.name}: ${suite.about}`, { timeout }, async () => {
      const directory = fs.mkdtempSync(Path.join(os.tmpdir(), `durable-streams-chaos-${suite.name}-`))
      const seed = 1
      const outcome = await suite.run({
        rounds,
        seed,
        random: new Random(seed),
        directory,
        say: () => {},
        options: { minutes: undefined, connections: undefined, browser: false, spawn: undefined, target: undefined }
      })
      assert.notProperty(outcome, "skipped")
      assert.deepStrictEqual("violations" in outcome ? outcome.violations : [], [])
      fs.rmSync(directory, { recursive: true, force: true })
    })
  }
})
