/**
 * The list of names of a storage: those with the prefix, in order, whatever was made and removed before.
 */
import { assert, it } from "@effect/vitest"
import { Effect, type Layer, Schema } from "effect"
import { Storage } from "../../src/storage/storage.ts"
import { tried } from "../support/properties.ts"
import { commitOf, described, named } from "../support/storage-fixtures.ts"

const Name = Schema.Array(Schema.Literals(["a", "b", "/", "~", "é", "\u{10000}", "\ufffd", "__ds/"])).check(
  Schema.isMinLength(1),
  Schema.isMaxLength(3)
)
const Wanted = Schema.Struct({
  prefix: Schema.optional(Name),
  without: Schema.optional(Name),
  after: Schema.optional(Name),
  limit: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })))
})
const Step = Schema.Tuple([Schema.Literals(["make", "make", "delete", "hide"]), Name])

export const listSuite = <E>(backend: string, layer: Layer.Layer<Storage, E>) =>
  it.layer(layer)(`Storage (${backend})`, (it) => {
    it.effect.prop("lists the names that a reader asks for, and no others", [
      Schema.Array(Step),
      Schema.Array(Wanted).check(Schema.isMinLength(1))
    ], ([steps, all]) =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const there = new Set<string>()
        const hidden = new Set<string>()
        for (const [step, parts] of steps) {
          const name = parts.join("")
          const isThere = there.has(name)
          if (step === "make" && !isThere && !hidden.has(name)) {
            yield* Effect.scoped(storage.create(described(name), commitOf(name, 0, ["1"])))
            there.add(name)
          } else if (step !== "make" && isThere) {
            yield* storage[step](named(name))
            there.delete(name)
            if (step === "hide") hidden.add(name)
          }
        }
        for (const wanted of all) {
          const [after, prefix = "", without] = [wanted.after, wanted.prefix, wanted.without].map((name) =>
            name?.join("")
          )
          const expected = [...there].toSorted()
            .filter((name) => name.startsWith(prefix) && (after === undefined || name > after))
            .filter((name) => without === undefined || !name.startsWith(without))
            .slice(0, wanted.limit)
          assert.deepStrictEqual(
            yield* storage.list({ prefix, after, without, limit: wanted.limit }),
            expected.map(named)
          )
        }
        for (const name of [...there, ...hidden]) yield* storage.delete(named(name))
      }), tried(60))
  })
