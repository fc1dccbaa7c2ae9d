/**
 * The keys of a state are names of producers and streams, and may hold any character: each entry is read back under its
 * own key (docs/storage-format.md 4), even if the process read other logs before.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { StateChange } from "../../src/storage/storage.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { storageOn } from "../support/log-fixtures.ts"
import { tried } from "../support/properties.ts"
import { commitOf, described, named } from "../support/storage-fixtures.ts"

const Key = Schema.Array(Schema.Literals(["\\", "\"", "\t", "w", "/", "é", "u"])).check(Schema.isMaxLength(3))
const Value = Schema.Union([Schema.Tuple([Schema.Int, Schema.Int]), Schema.Literals(["null", "\\", "\""])])
const State = Schema.Array(Schema.Tuple([Key, Value])).check(Schema.isMaxLength(5))

const changesOf = (state: typeof State.Type): ReadonlyArray<StateChange> => [
  ["producer:first", "[0,0]"],
  ...new Map(state.map(([key, value]) => [`producer:${key.join("")}`, JSON.stringify(value)]))
]

describe("Promise 3: the entries of a state", () => {
  it.effect.prop(
    "are read back under their own keys, whatever logs were read before",
    [Schema.Array(State)],
    ([states]) =>
      Effect.gen(function*() {
        const disk = new FaultDisk()
        const made = states.map((state, i) => ({ name: `log-${i}`, changes: changesOf(state) }))
        yield* Effect.scoped(Effect.gen(function*() {
          const storage = yield* storageOn(disk)
          for (const { changes, name } of made) {
            const log = yield* storage.create(described(name), commitOf(name, 0, [], "{}"))
            yield* log.commit({ ...commitOf(name, 0, ["1"]), state: changes })
            yield* log.commit({ ...commitOf(name, 1, ["2"]), state: [["producer:first", undefined]] })
            yield* log.commit({ ...commitOf(name, 2, ["3"]), state: changes.slice(0, 2) })
          }
        }))
        const storage = yield* storageOn(disk)
        for (const { changes, name } of made) {
          const { state } = yield* storage.open(named(name))
          assert.deepStrictEqual([...state].toSorted(), [...changes].toSorted(), name)
        }
      }).pipe(Effect.scoped),
    tried(300)
  )
})
