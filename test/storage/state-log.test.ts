/**
 * The log of a subscription, which moves on when it has become long.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { StreamName } from "../../src/domain/types.ts"
import { createStateLog, openStateLog } from "../../src/storage/state-log.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import { Storage } from "../../src/storage/storage.ts"
import { subscriptionLogs } from "../../src/subscriptions/running/subscription-logs.ts"

/** A large value, another one each time. */
const text = (i: number) => JSON.stringify(`${i}`.padStart(20_000))

describe("the log of a subscription", () => {
  it.effect("holds after each commit all that was committed, in one log", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const scope = yield* Effect.scope
      const log = yield* createStateLog(storage, scope, subscriptionLogs, { id: "a/b", life: "l", createdAt: "then" }, [
        ["kept", "1"],
        [
          "gone",
          "1"
        ]
      ])
      for (let i = 0; i < 150; i++) {
        yield* log.commit([["big", text(i)], i % 2 === 0 ? ["gone", undefined] : ["gone", `${i}`]])
        const [name, ...others] = yield* storage.list()
        assert.deepStrictEqual(others, [])
        const found = yield* openStateLog(storage, scope, subscriptionLogs, name as StreamName)
        const expected = [["big", text(i)], ["kept", "1"], ...(i % 2 === 0 ? [] : [["gone", `${i}`]])]
        for (const { description, state } of [log, found]) {
          assert.deepStrictEqual([...state].toSorted(), expected.toSorted())
          assert.deepInclude(description, { id: "l", createdAt: "then" })
        }
      }
      assert.deepStrictEqual(yield* storage.list(), ["__ds/subscriptions/2/a/b" as StreamName])
      yield* log.delete
      assert.deepStrictEqual(yield* storage.list(), [])
    }).pipe(Effect.scoped, Effect.provide(layerMemory)))
})
