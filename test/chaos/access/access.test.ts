/**
 * The attacks by browsers, and a part of the table of allowed combinations (the short form of `npm run chaos --
 * access`).
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { assert, it } from "vitest"
import { build } from "../../support/built.ts"
import { Random } from "../../support/random.ts"
import { attacks } from "./access-attacks.ts"
import { tryRaw } from "./access.ts"

/** About two thousand combinations of the table. */
const share = 0.04

it("Promise 12: pages of other origins and pages that rebind their name read and change nothing", async ({ onTestFinished }) => {
  build()
  assert.isAtLeast(new Set(attacks.map(({ title }) => title)).size, 60)
  const directory = fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-access-"))
  onTestFinished(() => fs.rmSync(directory, { recursive: true, force: true }))
  const random = new Random(1)
  const { violations } = await tryRaw(directory, () => random.chance(share))
  assert.deepStrictEqual(violations, [])
})
