/**
 * The corpus of hostile requests once, and strange but valid data across two restarts (the short form of `npm run chaos
 * -- hostile`).
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { assert, it } from "vitest"
import { build } from "../../support/built.ts"
import { Random } from "../../support/random.ts"
import { briefly } from "../harness/suite.ts"
import { hostileCases } from "./hostile-cases.ts"
import { sendLarge } from "./hostile-large.ts"
import { runCorpus } from "./hostile.ts"

/** Long enough to tell a server that hangs from a machine that is busy. */
const answerMillis = 10_000

it("Promise 11: the server answers every hostile request, and keeps nothing of a refused one", async ({ onTestFinished }) => {
  build()
  assert.isAtLeast(new Set(hostileCases.map(({ title }) => title)).size, 400)
  const directory = fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-hostile-"))
  onTestFinished(() => fs.rmSync(directory, { recursive: true, force: true }))
  const context = { rounds: 1, seed: 1, random: new Random(1), directory, say: () => {}, options: briefly() }
  const { counts, violations } = await runCorpus(context, answerMillis)
  assert.deepStrictEqual(violations, [])
  assert.strictEqual(counts["answers"], hostileCases.length)
})

it("Promise 11: a body in a million pieces does not make the server grow", async ({ onTestFinished }) => {
  build()
  const directory = fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-large-"))
  onTestFinished(() => fs.rmSync(directory, { recursive: true, force: true }))
  const { violations } = await sendLarge(directory, () => {}, (title) => title === "10^6 chunks of a byte")
  assert.deepStrictEqual(violations, [])
})
