/**
 * Random histories against the model: every command on streams and forks, in any order, in memory, and on files with
 * crashes in between.
 */
import * as fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Target } from "../support/target.ts"
import { World } from "./model-commands.ts"
import { histories } from "./model-histories.ts"

const seed = 20_261_121

/** One command in this many is a crash. */
const commandsToCrash = 200

describe.for(
  [
    { storage: "memory", numRuns: 120, crashes: false },
    { storage: "fs", numRuns: 50, crashes: true }
  ] as const
)("a server on $storage", ({ crashes, numRuns, storage }) => {
  let target: Target
  beforeAll(async () => {
    target = await Target.start(storage)
  })
  afterAll(() => target.stop())

  let told = 0
  it(`holds what the model holds after any history${crashes ? ", crashes included" : ""}`, async () => {
    const property = fc.asyncProperty(
      histories(crashes ? commandsToCrash : undefined),
      (history) =>
        new World(`history-${storage}-${++told}`, (name) => target.url(name), () => target.crash()).run(history)
    )
    // A failing history is shortened for a while, and then reported.
    await fc.assert(property, { seed, numRuns, interruptAfterTimeLimit: 25_000, markInterruptAsFailure: true })
    expect(told).toBe(numRuns)
  })
})
