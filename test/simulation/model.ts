/**
 * Random histories of streams against a model (G8), in this process: in memory, and on a disk whose calls settle in any
 * order, fail, and end in crashes. A failing history is shortened as far as possible, and reported.
 */
import { Effect } from "effect"
import * as fc from "fast-check"
import type { Suite } from "../chaos/harness/suite.ts"
import { inProcess } from "./in-process.ts"
import { streamHistories } from "./stream-history.ts"
import { StreamWorld } from "./stream-world.ts"

export const model: Suite = {
  name: "model",
  about: "random histories against a model, in process: in memory, and on a disk that fails, tears and is slow",
  rounds: 2_000,
  run: async ({ rounds, say, seed }) => {
    const inMemory = await histories("memory", seed, rounds)
    say(`${inMemory.told} histories in memory`)
    const onDisk = await histories("disk", seed, rounds)
    return {
      counts: { inMemory: inMemory.told, onDisk: onDisk.told, steps: inMemory.steps + onDisk.steps },
      violations: [inMemory, onDisk].flatMap(({ violation }) => violation ?? [])
    }
  }
}

/** Runs `count` histories. Returns the first one that fails, shortened. */
export const histories = async (storage: "memory" | "disk", seed: number, count: number) => {
  let told = 0
  let steps = 0
  const property = fc.asyncProperty(streamHistories, async (history) => {
    told++
    steps += history.steps.length
    await inProcess(Effect.suspend(() => new StreamWorld(history, storage).run))
  })
  const { counterexample, errorInstance } = await fc.check(property, { seed, numRuns: count })
  const violation = counterexample === null
    ? undefined
    : `${storage}: ${String(errorInstance)}\nafter ${JSON.stringify(counterexample)}`
  return { told, steps, violation }
}
