/**
 * Followers come and go while events arrive and the stream falls asleep: each follower sees every event once, in order.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { PlainFactory } from "../../src/hooks/stream-factory.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { layerFileSystem } from "../../src/storage-filesystem/storage-filesystem.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import type { Storage } from "../../src/storage/storage.ts"
import { failing, FaultDisk } from "../simulation/fault-disk.ts"
import { tried } from "../support/properties.ts"
import { appending, historyOf, named, settled, textsOf } from "../support/storage-fixtures.ts"

const name = named("orders")

const layerOn = (storage: Layer.Layer<Storage>) =>
  StreamManager.layer.pipe(Layer.provide(PlainFactory), Layer.provideMerge(storage))

/** A disk that yields at every call, so that reads and commits cross. */
const layerDisk = Layer.unwrap(Effect.sync(() => {
  const disk = new FaultDisk()
  disk.before = () => Effect.yieldNow
  return Layer.orDie(layerFileSystem({ directory: "/streams", durability: "fsync", disk }))
}))

/** Reads until it is interrupted, and then goes on after the last event that it saw. */
class ResumingFollower {
  readonly seen: Array<string> = []
  #fiber: Fiber.Fiber<unknown, unknown> | undefined
  readonly bytesMax: number

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  readonly connect = Effect.gen({ self: this }, function*() {
    if (this.#fiber === undefined) this.#fiber = yield* Effect.forkChild(this.#follow)
  })

  readonly disconnect = Effect.gen({ self: this }, function*() {
    const fiber = this.#fiber
    this.#fiber = undefined
    if (fiber !== undefined) yield* Fiber.interrupt(fiber)
  })

  readonly #follow = Effect.scoped(Effect.gen({ self: this }, function*() {
    const stream = yield* Effect.flatMap(StreamManager, (manager) => manager.get(name))
    let cursor = yield* stream.cursor(this.seen.length)
    while (true) {
      const block = yield* stream.next(cursor, this.bytesMax)
      this.seen.push(...textsOf(block))
      cursor = { ...cursor, next: block.first + block.count }
    }
  }))
}

/** The next step of the history; its number stays the same, so that a counterexample stays small. */
const steps = ["append", "append many", "append large", "let run", "let run a little", "come", "go", "sleep"] as const
const Step = Schema.Struct({
  what: Schema.Literals(steps),
  who: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 }))
})

const run = Effect.fnUntraced(function*(happens: ReadonlyArray<typeof Step.Type>) {
  const manager = yield* StreamManager
  const followers = [new ResumingFollower(1), new ResumingFollower(400), new ResumingFollower(1_000_000)]
  let sent = 0
  const append = (count: number, text = "") =>
    Effect.forkChild(manager.append(name, appending(...Array.from({ length: count }, () => `${sent++}${text}`))))
  const appends: Array<Fiber.Fiber<unknown, unknown>> = []

  for (const { what, who } of happens) {
    switch (what) {
      case "append":
        appends.push(yield* append(1))
        break
      case "append many":
        appends.push(yield* append(7))
        break
      case "append large":
        // More than the memory for live followers keeps.
        appends.push(yield* append(2, "x".repeat(50_000)))
        break
      case "let run":
        yield* settled
        break
      case "let run a little":
        yield* Effect.yieldNow
        break
      case "come":
        yield* followers[who]!.connect
        break
      case "go":
        yield* followers[who]!.disconnect
        break
      case "sleep":
        yield* Effect.forEach(followers, (follower) => follower.disconnect)
        yield* settled
        yield* TestClock.adjust(Duration.minutes(2))
    }
  }

  yield* Effect.forEach(followers, (follower) => follower.connect)
  yield* Fiber.joinAll(appends)
  for (let turns = 0; turns < 100; turns++) {
    if (followers.every(({ seen }) => seen.length >= sent)) break
    yield* settled
  }
  yield* settled
  yield* Effect.forEach(followers, (follower) => follower.disconnect)
  const all = yield* Effect.flatMap(manager.get(name), historyOf)
  assert.strictEqual(all.length, sent)
  for (const { seen } of followers) assert.deepStrictEqual(seen, all)
})

describe("Promise 4: a follower who comes and goes sees every event once, in order", () => {
  const options = tried(150, 40)

  it.effect.prop(
    "on memory",
    [Schema.Array(Step)],
    ([happens]) => run(happens).pipe(Effect.scoped, Effect.provide(layerOn(layerMemory))),
    options
  )

  it.effect.prop(
    "on a disk",
    [Schema.Array(Step)],
    ([happens]) => run(happens).pipe(Effect.scoped, Effect.provide(layerOn(layerDisk))),
    options
  )
})

describe("A stream", () => {
  it.effect("falls asleep a minute after its last use, and wakes with its tail", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = Layer.orDie(layerFileSystem({ directory: "/streams", durability: "fsync", disk }))
      yield* Effect.gen(function*() {
        const manager = yield* StreamManager
        yield* manager.append(name, appending(0))
        yield* TestClock.adjust(Duration.seconds(59))
        assert.strictEqual(disk.opened, 1)
        yield* manager.append(name, appending(1))
        yield* TestClock.adjust(Duration.seconds(59))
        assert.strictEqual(disk.opened, 1)
        yield* TestClock.adjust(Duration.seconds(2))
        yield* settled
        assert.strictEqual(disk.opened, 0)
        assert.strictEqual((yield* manager.append(name, appending(2))).events.first, 2)
      }).pipe(Effect.provide(layerOn(storage)))
    }))

  it.effect("stays awake while a follower is there", () =>
    Effect.gen(function*() {
      const manager = yield* StreamManager
      const scope = yield* Scope.make()
      const stream = yield* Scope.provide(manager.get(name), scope)
      const follower = yield* Effect.forkChild(Stream.runHead(stream.subscribe("now")))
      yield* TestClock.adjust(Duration.hours(10))
      yield* manager.append(name, appending("after ten hours"))
      const head = yield* Fiber.join(follower)
      assert.deepStrictEqual(head._tag === "Some" && head.value.data, "after ten hours")
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(layerOn(layerMemory))))

  it.effect("is opened anew by the next caller when it could not be opened before", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = Layer.orDie(layerFileSystem({ directory: "/streams", durability: "fsync", disk }))
      yield* Effect.gen(function*() {
        const manager = yield* StreamManager
        yield* manager.append(name, appending(0))
        yield* TestClock.adjust(Duration.minutes(2))
        yield* settled
        disk.before = (call, path) => call === "open" ? Effect.fail(failing(call, path, "EMFILE")) : Effect.void
        const error = yield* Effect.flip(manager.append(name, appending(1)))
        assert.strictEqual(error._tag, "StorageUnavailable")
        disk.before = () => Effect.void
        assert.strictEqual((yield* manager.append(name, appending(1))).events.first, 1)
      }).pipe(Effect.provide(layerOn(storage)))
    }))
})
