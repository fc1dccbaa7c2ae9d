/**
 * The streams that are awake: no more than the limit, the longest idle one falls asleep first, and no name is awake
 * twice.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { StreamName } from "../../src/domain/types.ts"
import { makeAwakeStreams } from "../../src/manager/awake-streams.ts"
import { isDone, named, settled } from "../support/storage-fixtures.ts"

interface Options {
  readonly awakeMax?: number
  readonly idle?: Duration.Input
  /** A waking stream waits for this. */
  readonly waking?: (name: StreamName) => Effect.Effect<void>
  /** This must end before a stream has fallen asleep. */
  readonly falling?: (name: StreamName) => Effect.Effect<void>
}

/** Streams that are only names, and a record of the names that hold something. */
const make = Effect.fnUntraced(function*(options: Options = {}) {
  const { awakeMax = 3, falling = () => Effect.void, idle = "1 minute", waking = () => Effect.void } = options
  const open: Array<StreamName> = []
  let openMost = 0
  let twice = 0
  const streams = yield* makeAwakeStreams({
    wake: (name) =>
      Effect.gen(function*() {
        if (open.includes(name)) twice++
        open.push(name)
        openMost = Math.max(openMost, open.length)
        yield* waking(name)
        yield* Effect.addFinalizer(() =>
          Effect.map(falling(name), () => {
            open.splice(open.indexOf(name), 1)
          })
        )
        return name
      }),
    idleTimeToLive: Duration.fromInputUnsafe(idle),
    isWorthKeeping: () => true,
    awakeMax,
    isExempt: (name) => name.startsWith("own")
  })
  const use = (...names: ReadonlyArray<string>) =>
    Effect.forEach(names, (name) => streams.use(named(name), () => Effect.void), { discard: true })
  return { streams, use, open, openMost: () => openMost, twice: () => twice }
})

describe("Awake streams", () => {
  it.effect("are no more than the limit: the stream that is idle longest falls asleep at once for one more", () =>
    Effect.gen(function*() {
      const { open, streams, use } = yield* make()
      yield* use("a", "b", "c", "a", "d")
      assert.deepStrictEqual(open.toSorted(), ["a", "c", "d"])
      yield* use("e")
      assert.deepStrictEqual(open.toSorted(), ["a", "d", "e"])
      assert.strictEqual(streams.count(), 3)
    }))

  it.effect("stay awake while they are in use: one more is refused, and gets a place as soon as a user leaves", () =>
    Effect.gen(function*() {
      const { open, streams, use } = yield* make()
      const leaving = yield* Scope.make()
      yield* Scope.provide(streams.get(named("a")), leaving)
      yield* streams.get(named("b"))
      yield* streams.get(named("c"))
      const refused = yield* Effect.flip(streams.get(named("d")))
      assert.strictEqual(refused._tag, "Overloaded")
      assert.strictEqual(refused.limit, 3)
      assert.include(refused.message, "--max-awake")
      yield* use("b", "own")
      assert.deepStrictEqual(open.toSorted(), ["a", "b", "c", "own"])
      yield* Scope.close(leaving, Exit.void)
      yield* use("d")
      assert.deepStrictEqual(open.toSorted(), ["b", "c", "d"])
    }))

  it.effect("wake only after the stream whose place they get has released everything", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { open, openMost, use } = yield* make({ awakeMax: 2, falling: () => Deferred.await(gate) })
      yield* use("a", "b")
      const more = yield* Effect.forkChild(use("c"))
      yield* settled
      assert.deepStrictEqual(open, ["a", "b"])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(more)
      assert.deepStrictEqual(open, ["b", "c"])
      yield* Effect.forEach(Array.from({ length: 100 }, (_, i) => `many ${i % 7}`), (name) => use(name), {
        concurrency: 2,
        discard: true
      })
      assert.strictEqual(openMost(), 2)
    }))

  it.effect("fall asleep in their time even if the clock is set back by a day", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let setBack = 0
      const changed: Clock.Clock = {
        ...clock,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() - setBack
      }
      const { open, use } = yield* Effect.provideService(make({ awakeMax: 100 }), Clock.Clock, changed)
      yield* use("before")
      setBack = 24 * 60 * 60 * 1000
      yield* use(...Array.from({ length: 50 }, (_, i) => `after ${i}`))
      assert.strictEqual(open.length, 51)
      yield* TestClock.adjust("1 minute")
      yield* settled
      assert.deepStrictEqual(open, [])
    }))

  it.effect("are never two of one name, even if a caller gives up a stream before it has woken", () =>
    Effect.gen(function*() {
      const waking = yield* Deferred.make<void>()
      const { open, streams, twice, use } = yield* make({
        idle: "1 millis",
        awakeMax: 1,
        waking: () => Deferred.await(waking)
      })
      const gaveUp = yield* Effect.forkChild(use("a"))
      yield* settled
      yield* Fiber.interrupt(gaveUp)
      yield* TestClock.adjust("1 second")
      yield* settled
      assert.strictEqual(streams.count(), 1, "it is on its way, and counts")
      const other = yield* Effect.forkChild(Effect.flip(streams.get(named("b"))))
      const again = yield* Effect.forkChild(use("a"))
      yield* settled
      assert.strictEqual((yield* Fiber.join(other))._tag, "Overloaded")
      assert.isFalse(isDone(again))
      yield* Deferred.succeed(waking, undefined)
      yield* Fiber.join(again)
      assert.strictEqual(twice(), 0)
      yield* TestClock.adjust("1 second")
      yield* settled
      assert.deepStrictEqual(open, [])
    }))

  it.effect("have released everything when their scope has closed, even those that were waking then", () =>
    Effect.gen(function*() {
      const waking = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const { open, streams } = yield* Scope.provide(make({ waking: () => Deferred.await(waking) }), scope)
      yield* Effect.forkChild(Effect.scoped(streams.get(named("a"))), { startImmediately: true })
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settled
      assert.isFalse(isDone(closing))
      yield* Deferred.succeed(waking, undefined)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(open, [])
    }))
})
