/**
 * Callers who hang up: the server finishes and counts the work it has begun, and no other caller notices.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema } from "effect"
import { StreamFactory } from "../../src/hooks/stream-factory.ts"
import { withHooks } from "../../src/hooks/with-hooks.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { layerFileSystem } from "../../src/storage-filesystem/storage-filesystem.ts"
import { Storage } from "../../src/storage/storage.ts"
import { makeDurableStream } from "../../src/stream/stream.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { HeldStorage, heldStream } from "../support/held-storage.ts"
import { tried } from "../support/properties.ts"
import { appending, historyOf, isDone, named, settled, shown, textsOf } from "../support/storage-fixtures.ts"

const name = "orders"

describe("Promise 5: a caller who hangs up", () => {
  it.effect("does not stop a write that is under way: the write is finished and counted, and the server does not wait for the caller", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const caller = yield* Effect.forkChild(stream.append(appending("begun")))
      yield* settled
      yield* Fiber.interrupt(caller)
      assert.strictEqual(storage.waiting, 1)
      yield* storage.succeed
      assert.strictEqual((yield* stream.info).tail, 2)
      storage.holding = false
      assert.strictEqual((yield* stream.append(appending("next"))).events.first, 2)
      assert.deepStrictEqual(yield* historyOf(stream), [
        shown(name, 0, `"made"`),
        shown(name, 1, `"begun"`),
        shown(name, 2, `"next"`)
      ])
    }))

  it.effect("does not disturb the other callers whose appends share the flush", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const callers = yield* Effect.forEach([1, 2, 3, 4], (n) => Effect.forkChild(stream.append(appending(n))))
      yield* settled
      yield* Fiber.interrupt(callers[1]!)
      yield* Fiber.interrupt(callers[2]!)
      yield* storage.succeed
      assert.strictEqual((yield* Fiber.join(callers[0]!)).events.first, 1)
      assert.strictEqual((yield* Fiber.join(callers[3]!)).events.first, 4)
    }))

  it.effect("is forgotten as a follower, and the other followers are still woken", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      storage.holding = false
      const now = yield* stream.cursor("now")
      const followers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(stream.next(now)))
      yield* settled
      yield* Fiber.interrupt(followers[1]!)
      yield* stream.append(appending("new"))
      assert.deepStrictEqual(textsOf(yield* Fiber.join(followers[0]!)), [shown(name, 1, `"new"`)])
      assert.deepStrictEqual(textsOf(yield* Fiber.join(followers[2]!)), [shown(name, 1, `"new"`)])
    }))

  it.effect("does not stop the making of a stream", () =>
    Effect.gen(function*() {
      const storage = new HeldStorage()
      storage.holding = true
      const stream = yield* Effect.provide(makeDurableStream(named(name)), storage.layer)
      const caller = yield* Effect.forkChild(stream.append(appending("first")))
      yield* settled
      yield* Fiber.interrupt(caller)
      yield* storage.succeed
      assert.deepStrictEqual(yield* historyOf(stream), [shown(name, 0, `"first"`)])
    }))

  it.effect("does not stop the deletion of a stream", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const append = yield* Effect.forkChild(stream.append(appending(1)))
      yield* settled
      const caller = yield* Effect.forkChild(stream.delete)
      yield* settled
      yield* Fiber.interrupt(caller)
      yield* storage.succeed
      yield* Fiber.join(append)
      assert.strictEqual((yield* Effect.flip(stream.info))._tag, "StreamNotFound")
    }))

  it.effect("does not keep the after hooks from running once the write has begun", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const told: Array<unknown> = []
      const hooked = withHooks(stream, {
        afterAppend: [{
          id: "tell",
          run: ({ event }) => Effect.andThen(Effect.yieldNow, Effect.sync(() => told.push(event.data)))
        }]
      })
      const caller = yield* Effect.forkChild(hooked.append(appending("a", "b")))
      yield* settled
      const hangingUp = yield* Effect.forkChild(Fiber.interrupt(caller))
      yield* settled
      assert.isFalse(isDone(hangingUp))
      yield* storage.succeed
      assert.deepStrictEqual(told, ["a", "b"])
      assert.isTrue(isDone(hangingUp))
    }))

  it.effect("stores nothing if a before hook still decides", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const hooked = withHooks(stream, { beforeAppend: [{ id: "think", run: () => Effect.never }] })
      const caller = yield* Effect.forkChild(hooked.append(appending("a")))
      yield* settled
      yield* Fiber.interrupt(caller)
      yield* settled
      assert.strictEqual(storage.begun.length, 0)
      assert.strictEqual((yield* stream.info).tail, 1)
    }))

  it.effect.prop(
    "at any moment leaves whole appends in a dense order, each at most once, and every answered one",
    [Schema.Array(Schema.Struct({
      events: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 })),
      patience: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
      hooked: Schema.Boolean
    }))],
    ([callers]) =>
      Effect.gen(function*() {
        const disk = new FaultDisk()
        disk.before = () => Effect.yieldNow
        const told: Array<unknown> = []
        const tell = {
          id: "tell",
          run: ({ event }: { event: { data: unknown } }) => Effect.sync(() => told.push(event.data))
        }
        const layer = StreamManager.layer.pipe(
          Layer.provide(StreamFactory.layerWith({ afterAppend: [tell] })),
          Layer.provide(layerFileSystem({ directory: "/streams", durability: "fsync", disk }))
        )
        yield* Effect.gen(function*() {
          const manager = yield* StreamManager
          const answered: Array<string> = []
          yield* Effect.forEach(callers, ({ events, patience }, who) =>
            Effect.gen(function*() {
              const data = Array.from({ length: events }, (_, i) => `${who}.${i}`)
              const fiber = yield* Effect.forkChild(manager.append(named(name), appending(...data)))
              yield* Effect.repeat(Effect.yieldNow, { times: patience })
              yield* Fiber.interrupt(fiber)
              if (fiber.pollUnsafe()?._tag === "Success") answered.push(...data)
            }), { concurrency: 3 })
          const stream = yield* manager.get(named(name))
          yield* stream.append(appending("last"))
          const events = (yield* historyOf(stream)).map((text) => JSON.parse(text) as { offset: string; data: string })
          assert.deepStrictEqual(events.map(({ offset }) => Number(offset)), events.map((_, i) => i))
          const stored = events.map(({ data }) => data)
          assert.strictEqual(new Set(stored).size, stored.length)
          for (const data of answered) assert.include(stored, data)
          for (const [who, { events }] of callers.entries()) {
            const at = stored.indexOf(`${who}.0`)
            const expected = Array.from({ length: events }, (_, i) => `${who}.${i}`)
            if (at < 0) assert.notInclude(stored, expected.at(-1))
            else assert.deepStrictEqual(stored.slice(at, at + events), expected)
          }
          // Every stored event was told to the after hooks, in the order of its append.
          assert.deepStrictEqual([...told].toSorted(), stored.toSorted())
        }).pipe(Effect.scoped, Effect.provide(layer))
      }),
    tried(100, 30)
  )

  it.effect("harms no other read when its own read is under way", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      disk.before = () => Effect.yieldNow
      const layer = layerFileSystem({ directory: "/streams", durability: "fsync", disk, openFilesMax: 1 })
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        const stream = yield* makeDurableStream(named(name))
        for (let i = 0; i < 5; i++) yield* stream.append(appending("x".repeat(40_000)))
        for (let patience = 0; patience < 30; patience++) {
          const cursor = yield* stream.cursor("beginning")
          const reader = yield* Effect.forkChild(stream.read(cursor))
          const other = yield* Effect.forkChild(historyOf(stream))
          yield* Effect.repeat(Effect.yieldNow, { times: patience })
          yield* Fiber.interrupt(reader)
          assert.strictEqual((yield* Fiber.join(other)).length, 5)
        }
        assert.isAtMost(disk.opened, 1)
        assert.deepStrictEqual(yield* storage.list(), [named(name)])
      }).pipe(Effect.scoped, Effect.provide(layer))
    }))
})
