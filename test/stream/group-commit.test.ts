/**
 * Appends that share a flush: the time of their answers, the events that readers see meanwhile, and the outcome if the
 * flush fails.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { StorageFailed, StreamNotFound, TailMismatch } from "../../src/domain/errors.ts"
import { makeDurableStream } from "../../src/stream/stream.ts"
import { HeldStorage, heldStream } from "../support/held-storage.ts"
import { appending, historyOf, isDone, named, settled, shown, textsOf } from "../support/storage-fixtures.ts"

const name = "orders"
const make = makeDurableStream(named(name))

describe("Promise 2: group commit", () => {
  it.effect("appends that arrive together share one flush", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const appends = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => i),
        (i) => Effect.forkChild(stream.append(appending(i, i)))
      )
      yield* settled
      assert.deepStrictEqual(storage.begun.map(({ events }) => events.count), [100])
      yield* storage.succeed
      yield* Fiber.joinAll(appends)
      assert.strictEqual(storage.begun.length, 1)
    }))

  it.effect("an append that arrives during a flush is answered only by the next one, with all that waited", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const early = yield* Effect.forkChild(stream.append(appending("early")))
      yield* settled
      const late = yield* Effect.forEach(
        ["late", "later"],
        (data) => Effect.forkChild(stream.append(appending(data)))
      )
      yield* settled
      assert.strictEqual(storage.begun.length, 1)
      yield* storage.succeed
      assert.isTrue(isDone(early))
      assert.deepStrictEqual(late.map(isDone), [false, false])
      assert.deepStrictEqual(storage.begun.map(({ events }) => textsOf(events)), [
        [shown(name, 1, `"early"`)],
        [shown(name, 2, `"late"`), shown(name, 3, `"later"`)]
      ])
      yield* storage.succeed
      assert.deepStrictEqual(late.map(isDone), [true, true])
    }))

  it.effect("no reader sees an event before its flush returned, and every follower does then", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const now = yield* stream.cursor("now")
      const follower = yield* Effect.forkChild(stream.next(now))
      const subscriber = yield* Effect.forkChild(Stream.runHead(stream.subscribe("now")))
      const append = yield* Effect.forkChild(stream.append(appending("new")))
      yield* settled
      assert.strictEqual(storage.waiting, 1)
      assert.isFalse(isDone(follower) || isDone(subscriber) || isDone(append))
      assert.strictEqual((yield* stream.info).tail, 1)
      assert.strictEqual((yield* stream.read(now)).count, 0)
      assert.strictEqual(yield* stream.offsetSince(0), 0)
      assert.deepStrictEqual(yield* historyOf(stream), [shown(name, 0, `"made"`)])
      assert.strictEqual((yield* stream.cursor("now")).next, 1)
      yield* storage.succeed
      const text = shown(name, 1, `"new"`)
      assert.deepStrictEqual(textsOf(yield* Fiber.join(append)), [text])
      assert.deepStrictEqual(textsOf(yield* Fiber.join(follower)), [text])
      const head = yield* Fiber.join(subscriber)
      assert.deepStrictEqual(head._tag === "Some" && head.value, JSON.parse(text))
    }))

  it.effect("no reader sees an event before its flush returned, even if a read of the storage would find it", () =>
    Effect.gen(function*() {
      const storage = new HeldStorage()
      storage.early = true
      yield* Effect.gen(function*() {
        yield* Effect.scoped(Effect.flatMap(make, (stream) => stream.append(appending("old"))))
        const stream = yield* make
        storage.holding = true
        const append = yield* Effect.forkChild(stream.append(appending("new")))
        yield* settled
        assert.deepStrictEqual(yield* historyOf(stream), [shown(name, 0, `"old"`)])
        yield* storage.succeed
        assert.isTrue(isDone(append))
        assert.strictEqual((yield* historyOf(stream)).length, 2)
      }).pipe(Effect.provide(storage.layer))
    }))

  it.effect("the first append of a stream is no different", () =>
    Effect.gen(function*() {
      const storage = new HeldStorage()
      storage.holding = true
      const stream = yield* Effect.provide(make, storage.layer)
      const follower = yield* Effect.forkChild(stream.next(yield* stream.cursor("beginning")))
      const append = yield* Effect.forkChild(stream.append(appending("first")))
      yield* settled
      assert.isFalse(isDone(follower) || isDone(append))
      assert.instanceOf(yield* Effect.flip(stream.info), StreamNotFound)
      yield* storage.succeed
      assert.deepStrictEqual(textsOf(yield* Fiber.join(follower)), [shown(name, 0, `"first"`)])
      assert.strictEqual((yield* stream.info).tail, 1)
    }))

  it.effect("one flush gets a bounded number of bytes, and a larger append gets a flush of its own", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const megabyte = "x".repeat(1024 * 1024)
      const sizes = [megabyte.slice(600_000), megabyte.slice(600_000), megabyte + megabyte, "small", "small"]
      yield* Effect.forEach(sizes, (data) => Effect.forkChild(stream.append(appending(data))))
      yield* settled
      while (storage.waiting > 0) yield* storage.succeed
      assert.deepStrictEqual(storage.begun.map(({ events }) => events.count), [2, 1, 2])
    }))
})

describe("A commit that fails", () => {
  it.effect("is an error to all who shared it, leaves no hole, and the next events take its offsets", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const refused = yield* Effect.forEach([1, 2], (n) => Effect.forkChild(stream.append(appending(n, n))))
      yield* settled
      const next = yield* Effect.forkChild(stream.append(appending("next")))
      yield* settled
      yield* storage.fail()
      for (const fiber of refused) assert.instanceOf(yield* Effect.flip(Fiber.join(fiber)), StorageFailed)
      assert.isFalse(isDone(next))
      yield* storage.succeed
      assert.deepStrictEqual(textsOf(yield* Fiber.join(next)), [shown(name, 1, `"next"`)])
      assert.deepStrictEqual(yield* historyOf(stream), [shown(name, 0, `"made"`), shown(name, 1, `"next"`)])
    }))

  it.effect("refuses no append for an event that it did not store: an append that was refused for that is judged again", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const blocker = yield* Effect.forkChild(stream.append(appending("blocker")))
      yield* settled
      const lost = yield* Effect.forkChild(stream.append({ ...appending("lost"), ifMatch: 2, close: true }))
      const again = yield* Effect.forkChild(stream.append({ ...appending("again"), ifMatch: 2 }))
      const still = yield* Effect.forkChild(Effect.flip(stream.append({ ...appending("never"), ifMatch: 7 })))
      yield* settled
      yield* storage.succeed
      yield* Fiber.join(blocker)
      assert.isFalse(isDone(again) || isDone(still))
      yield* storage.fail()
      assert.instanceOf(yield* Effect.flip(Fiber.join(lost)), StorageFailed)
      yield* storage.succeed
      assert.deepStrictEqual(textsOf(yield* Fiber.join(again)), [shown(name, 2, `"again"`)])
      assert.instanceOf(yield* Fiber.join(still), TailMismatch)
      assert.isFalse((yield* stream.info).closed)
    }))

  it.effect("wakes no follower", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const follower = yield* Effect.forkChild(stream.next(yield* stream.cursor("now")))
      yield* Effect.forkChild(Effect.ignore(stream.append(appending(1))))
      yield* settled
      yield* storage.fail()
      assert.isFalse(isDone(follower))
    }))
})
