/**
 * Observation of streams by a prefix: it reads the names and hears of every change, and misses none.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import type { StorageError } from "../../src/domain/errors.ts"
import { StorageFailed } from "../../src/domain/errors.ts"
import type { StreamName } from "../../src/domain/types.ts"
import { EventData } from "../../src/event/event-data.ts"
import { ActiveFactory } from "../../src/hooks/stream-factory.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import { Storage } from "../../src/storage/storage.ts"

const one = { data: [EventData.fromValue(1)] }
const named = (name: string) => name as StreamName

/**
 * Streams in memory. A listing of them fails while `isFailing` says so, and waits for `meanwhile` before it answers.
 */
const layerOn = (options: {
  readonly isFailing?: () => boolean
  readonly meanwhile?: () => Effect.Effect<unknown>
}) =>
  StreamManager.layer.pipe(
    Layer.provide(ActiveFactory),
    Layer.provide(
      Layer.effect(
        Storage,
        Effect.map(Storage, (memory) => ({
          ...memory,
          list: (...given) =>
            options.isFailing?.() === true
              ? Effect.fail(new StorageFailed({ message: "no answer" }))
              : Effect.tap(memory.list(...given), () => options.meanwhile?.() ?? Effect.void)
        }))
      ).pipe(Layer.provide(layerMemory))
    )
  )

/** Observes streams, and records the changes that it is told. */
const begin = Effect.fnUntraced(function*(prefix: string) {
  const manager = yield* StreamManager
  const told: Array<string> = []
  const observation = yield* manager.observe(prefix, {
    created: ({ name }) => void told.push(`made ${name}`),
    appended: ({ name }, tail) => void told.push(`grown ${name} ${tail}`),
    deleted: ({ name }) => void told.push(`deleted ${name}`)
  })
  const names: Effect.Effect<ReadonlyArray<string>, StorageError> = observation.names
  return { names, told }
})

describe("An observation", () => {
  it.effect("gives the names that exist and then the changes that follow, only of names with its prefix", () =>
    Effect.gen(function*() {
      const { append, delete: remove } = yield* StreamManager
      yield* append(named("orders/1"), one)
      yield* append(named("people/1"), one)
      const { names, told } = yield* begin("orders/")
      assert.deepStrictEqual(yield* names, ["orders/1"])
      yield* append(named("orders/1"), one)
      yield* append(named("orders/2"), one)
      yield* append(named("people/2"), one)
      yield* remove(named("orders/1"))
      assert.deepStrictEqual(told, ["grown orders/1 2", "made orders/2", "grown orders/2 1", "deleted orders/1"])
      assert.deepStrictEqual(yield* names, ["orders/2"])
    }).pipe(Effect.scoped, Effect.provide(layerOn({}))))

  it.effect("tells the changes that happen while the names are read", () => {
    let meanwhile: Effect.Effect<unknown> = Effect.void
    return Effect.gen(function*() {
      const { append, delete: remove } = yield* StreamManager
      yield* append(named("gone"), one)
      const { names, told } = yield* begin("")
      meanwhile = Effect.orDie(Effect.andThen(remove(named("gone")), append(named("new"), one)))
      assert.deepStrictEqual(yield* names, ["gone"])
      assert.deepStrictEqual(told, ["deleted gone", "made new", "grown new 1"])
    }).pipe(Effect.scoped, Effect.provide(layerOn({ meanwhile: () => meanwhile })))
  })

  it.effect("goes on after the names could not be read, and they can be read again", () => {
    let isFailing = true
    return Effect.gen(function*() {
      const { append } = yield* StreamManager
      const { names, told } = yield* begin("")
      assert.deepStrictEqual((yield* Effect.flip(names)).message, "no answer")
      yield* append(named("a"), one)
      isFailing = false
      assert.deepStrictEqual(yield* names, ["a"])
      assert.deepStrictEqual(told, ["made a", "grown a 1"])
    }).pipe(Effect.scoped, Effect.provide(layerOn({ isFailing: () => isFailing })))
  })

  it.effect("ends with its scope", () =>
    Effect.gen(function*() {
      const { append } = yield* StreamManager
      const scope = yield* Scope.make()
      const { told } = yield* Scope.provide(begin(""), scope)
      yield* Scope.close(scope, Exit.void)
      yield* append(named("a"), one)
      assert.deepStrictEqual(told, [])
    }).pipe(Effect.provide(layerOn({}))))
})
