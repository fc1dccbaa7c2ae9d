/**
 * Many subscriptions have work at the same moment: all of them do it, in order, and other work runs in between.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FiberSet } from "effect"
import { WorkQueue } from "../../src/subscriptions/running/work-queue.ts"
import { eventually } from "./stage.ts"

describe("work of ten thousand subscriptions at the same moment", () => {
  it.live("is begun in order, a little of it in each turn", () =>
    Effect.gen(function*() {
      const turns = new WorkQueue(yield* FiberSet.makeRuntime<never>())
      const begun: Array<number> = []
      const perTurn: Array<number> = []
      for (let i = 0; i < 10_000; i++) turns.add(Effect.sync(() => void begun.push(i)))
      assert.strictEqual(begun.length, 0)
      let before = 0
      yield* eventually(() => {
        perTurn.push(begun.length - before)
        before = begun.length
        return begun.length === 10_000
      })
      assert.isAtMost(Math.max(...perTurn), 100)
      assert.deepStrictEqual(begun, Array.from({ length: 10_000 }, (_, i) => i))
      turns.add(Effect.sync(() => void begun.push(-1)))
      yield* eventually(() => begun.at(-1) === -1)
    }).pipe(Effect.scoped))
})
