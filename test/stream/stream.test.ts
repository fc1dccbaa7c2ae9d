/**
 * One stream: the order of its events, the time at which they are answered and shown, its closing and its end.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { StorageFailed, StreamClosed, StreamDeleted, StreamNotFound, TailMismatch } from "../../src/domain/errors.ts"
import { toOffset } from "../../src/domain/types.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import { Storage } from "../../src/storage/storage.ts"
import { makeDurableStream } from "../../src/stream/stream.ts"
import { HeldStorage, heldStream } from "../support/held-storage.ts"
import { appending, historyOf, isDone, named, settled, shown, textsOf } from "../support/storage-fixtures.ts"

const name = "orders"
const make = makeDurableStream(named(name))
const inMemory = Effect.provide(layerMemory)

describe("Promise 1: order", () => {
  it.effect.prop(
    "the k-th event has offset k, however many writers append at once and however many events each sends",
    [Schema.Array(Schema.Array(Schema.Json))],
    ([appends]) =>
      Effect.gen(function*() {
        const stream = yield* make
        const blocks = yield* Effect.forEach(
          appends,
          (data) => stream.append(appending(...data)),
          { concurrency: "unbounded" }
        )
        const events = blocks.toSorted((a, b) => a.events.first - b.events.first).flatMap(textsOf)
        assert.deepStrictEqual(
          events.map((text) => text.slice(11, 27)),
          events.map((_, i) => toOffset(i))
        )
        assert.deepStrictEqual(yield* historyOf(stream), events)
        for (const [i, block] of blocks.entries()) {
          const expected = appends[i]!.map((data, j) => shown(name, block.events.first + j, JSON.stringify(data)))
          assert.deepStrictEqual(textsOf(block), expected)
        }
      }).pipe(Effect.scoped, inMemory)
  )

  it.effect("an append of nothing stores nothing and makes nothing", () =>
    Effect.gen(function*() {
      const stream = yield* make
      assert.strictEqual((yield* stream.append(appending())).events.count, 0)
      assert.instanceOf(yield* Effect.flip(stream.info), StreamNotFound)
    }).pipe(inMemory))

  it.effect("of a hundred writers that append only at the tail they saw, one wins and the others are told the tail", () =>
    Effect.gen(function*() {
      const stream = yield* make
      yield* stream.append(appending(0, 1))
      const exits = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) => Effect.result(stream.append({ ...appending(`from ${i}`), ifMatch: 2 })),
        { concurrency: "unbounded" }
      )
      const refused = exits.flatMap((exit) => exit._tag === "Failure" ? [exit.failure] : [])
      assert.strictEqual(refused.length, 99)
      for (const error of refused) {
        assert.deepStrictEqual(error, new TailMismatch({ stream: name, expected: toOffset(2), tail: toOffset(3) }))
      }
      assert.strictEqual((yield* historyOf(stream)).length, 3)
    }).pipe(inMemory))

  it.effect("an append that names the tail of an earlier one in the same flush is judged after it", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const first = yield* Effect.forkChild(stream.append(appending(1)))
      yield* settled
      const rest = yield* Effect.forkChild(Effect.forEach(
        [1, 2, 4, 3, 3],
        (ifMatch) => Effect.result(stream.append({ ...appending(`at ${ifMatch}`), ifMatch })),
        { concurrency: "unbounded" }
      ))
      yield* settled
      yield* storage.succeed
      yield* storage.succeed
      yield* Fiber.join(first)
      const tags = (yield* Fiber.join(rest)).map(({ _tag }) => _tag)
      assert.deepStrictEqual(tags, ["Failure", "Success", "Failure", "Success", "Failure"])
    }))
})

describe("A closed stream", () => {
  it.effect("is closed together with its last event: the next writer is refused, and every follower ends", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const follower = yield* Effect.forkChild(Stream.runCollect(stream.subscribe("beginning")))
      const last = yield* Effect.forkChild(stream.append({ ...appending("last"), close: true }))
      const behind = yield* Effect.forkChild(Effect.flip(stream.append(appending("behind"))))
      yield* settled
      assert.deepStrictEqual(storage.begun.map(({ events, state }) => [events.count, state]), [[1, [[
        "closed",
        "true"
      ]]]])
      assert.isFalse(isDone(behind))
      yield* storage.succeed
      yield* Fiber.join(last)
      assert.deepStrictEqual(yield* Fiber.join(behind), new StreamClosed({ stream: name, tail: toOffset(2) }))
      assert.deepStrictEqual((yield* Fiber.join(follower)).map(({ data }) => data), ["made", "last"])
      assert.isTrue((yield* stream.info).closed)
      assert.strictEqual((yield* stream.next(yield* stream.cursor("now"))).count, 0)
    }))

  it.effect("can be closed without an event, stays closed when it wakes again, and can be read", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const stream = yield* make
        yield* stream.append(appending("only"))
        yield* stream.append({ data: [], close: true })
      }))
      const stream = yield* make
      assert.instanceOf(yield* Effect.flip(stream.append(appending("more"))), StreamClosed)
      const again = yield* stream.append({ data: [], close: true })
      assert.deepStrictEqual([again.events.count, again.tail, again.closed], [0, 1, true])
      const events = yield* Stream.runCollect(stream.subscribe("beginning"))
      assert.deepStrictEqual(events.map(({ data }) => data), ["only"])
    }).pipe(inMemory))
})

describe("A stream that does not exist", () => {
  it.effect("can be waited for, and neither a wait nor a question makes it", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const stream = yield* make
      const follower = yield* Effect.forkChild(Stream.runCollect(Stream.take(stream.subscribe("beginning"), 2)))
      yield* settled
      assert.instanceOf(yield* Effect.flip(stream.info), StreamNotFound)
      assert.strictEqual((yield* stream.read(yield* stream.cursor(0))).count, 0)
      assert.deepStrictEqual(yield* storage.list(), [])
      yield* stream.append(appending("a", "b"))
      assert.deepStrictEqual((yield* Fiber.join(follower)).map(({ data }) => data), ["a", "b"])
    }).pipe(inMemory))
})

describe("A deletion", () => {
  it.effect("of a stream keeps its order among appends, its followers are told, and the next append begins at 0", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const old = yield* stream.cursor("now")
      const follower = yield* Effect.forkChild(Effect.flip(Stream.runDrain(stream.subscribe("beginning"))))
      const before = yield* Effect.forkChild(stream.append(appending("before")))
      yield* settled
      const deleting = yield* Effect.forkChild(stream.delete)
      const after = yield* Effect.forkChild(stream.append(appending("after")))
      yield* settled
      assert.isFalse(isDone(deleting))
      yield* storage.succeed
      assert.deepStrictEqual(textsOf(yield* Fiber.join(before)), [shown(name, 1, `"before"`)])
      yield* Fiber.join(deleting)
      assert.instanceOf(yield* Fiber.join(follower), StreamDeleted)
      yield* storage.succeed
      assert.deepStrictEqual(textsOf(yield* Fiber.join(after)), [shown(name, 0, `"after"`)])
      // A place in the deleted stream is no place in the new one.
      assert.instanceOf(yield* Effect.flip(stream.read(old)), StreamDeleted)
      assert.deepStrictEqual(yield* historyOf(stream), [shown(name, 0, `"after"`)])
    }))

  it.effect("of a stream that does not exist is answered with StreamNotFound", () =>
    Effect.gen(function*() {
      const stream = yield* make
      assert.instanceOf(yield* Effect.flip(stream.delete), StreamNotFound)
    }).pipe(inMemory))

  it.effect("of a log by hand is noticed by the next append: it fails, the followers are told, and then a new stream begins", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream(name)
      const follower = yield* Effect.forkChild(Effect.flip(stream.next(yield* stream.cursor("now"))))
      const append = yield* Effect.forkChild(Effect.flip(stream.append(appending("lost"))))
      yield* settled
      yield* storage.takeAway(name)
      yield* storage.fail(new StreamNotFound({ stream: name }))
      assert.instanceOf(yield* Fiber.join(append), StorageFailed)
      assert.instanceOf(yield* Fiber.join(follower), StreamDeleted)
      storage.holding = false
      assert.deepStrictEqual(textsOf(yield* stream.append(appending("new"))), [shown(name, 0, `"new"`)])
    }))
})

describe("A stream", () => {
  it.effect("gives as offsetSince the first event of that moment or later, and the tail if there is none", () =>
    Effect.gen(function*() {
      const stream = yield* make
      for (let i = 0; i < 10; i++) {
        yield* stream.append(appending(i, i))
        yield* TestClock.adjust(Duration.seconds(10))
      }
      const expected = [[-1, 0], [0, 0], [1, 2], [10_000, 2], [10_001, 4], [90_000, 18], [90_001, 20], [1e12, 20]]
      for (const [time, offset] of expected) assert.strictEqual(yield* stream.offsetSince(time!), offset)
    }).pipe(inMemory))

  it.effect("finishes the appends that wait before it goes to sleep", () =>
    Effect.gen(function*() {
      const storage = new HeldStorage()
      const services = yield* Effect.context<never>()
      const asleep = yield* Effect.forkChild(Effect.provide(
        Effect.scoped(Effect.gen(function*() {
          const stream = yield* make
          storage.holding = true
          Effect.runForkWith(services)(stream.append(appending("begun")))
          yield* settled
        })),
        storage.layer
      ))
      yield* settled
      assert.isFalse(isDone(asleep))
      yield* storage.succeed
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(asleep)))
    }))
})
