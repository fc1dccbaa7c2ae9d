/**
 * Streams that end by themselves: at a fixed moment, or after some time without use (PROTOCOL.md 5.1).
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { EventData } from "../../src/event/event-data.ts"
import { PlainFactory } from "../../src/hooks/stream-factory.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import { Storage } from "../../src/storage/storage.ts"
import { openAt } from "../../src/stream-http/reading-start.ts"
import type { CreateRequest } from "../../src/stream/durable-stream.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { storageOn } from "../support/log-fixtures.ts"
import { appending, isDone, named, settled, turn } from "../support/storage-fixtures.ts"

const name = named("orders")

const withTtl = (ttlSeconds: number): CreateRequest => ({
  contentType: "application/json",
  ttlSeconds,
  data: [EventData.fromValue("first")]
})

const layerOn = (storage: Layer.Layer<Storage>) =>
  StreamManager.layer.pipe(Layer.provide(PlainFactory), Layer.provide(storage))
const inMemory = Effect.provide(layerOn(layerMemory))

/** The clock moves second by second, so that work that is due every few seconds finishes one turn before the next. */
const seconds = (count: number) =>
  Effect.repeat(Effect.andThen(TestClock.adjust(Duration.seconds(1)), turn), { times: count - 1 })

/** Returns whether the stream exists; this is no use of it. */
const isThere = Effect.gen(function*() {
  const manager = yield* StreamManager
  const stream = yield* manager.get(name)
  return (yield* Effect.result(stream.info))._tag === "Success"
}).pipe(Effect.scoped)

/** Reads as a request does: takes a cursor, then reads from it. */
const use = Effect.gen(function*() {
  const manager = yield* StreamManager
  const stream = yield* manager.get(name)
  return (yield* stream.read(yield* stream.cursor("beginning"))).count
}).pipe(Effect.scoped)

describe("A stream with a time to live", () => {
  it.effect("ends when no client has read or written it for that time; a question about it is no use", () =>
    Effect.gen(function*() {
      const manager = yield* StreamManager
      yield* manager.create(name, withTtl(10))
      yield* seconds(9)
      assert.isTrue(yield* isThere)
      assert.strictEqual(yield* use, 1)
      yield* seconds(9)
      yield* manager.append(name, appending("second"))
      yield* seconds(9)
      assert.isTrue(yield* isThere)
      yield* seconds(1)
      assert.isFalse(yield* isThere)
      assert.strictEqual(yield* use, 0)
      assert.deepStrictEqual(yield* manager.list(), [])
    }).pipe(inMemory))

  it.effect("does not end while a follower is there, and ends that time after he has left", () =>
    Effect.gen(function*() {
      const manager = yield* StreamManager
      yield* manager.create(name, withTtl(10))
      const follower = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
        const stream = yield* manager.get(name)
        return yield* stream.next(yield* stream.cursor("now"))
      })))
      yield* settled
      for (let minute = 0; minute < 5; minute++) yield* seconds(60)
      assert.isFalse(isDone(follower))
      assert.isTrue(yield* isThere)
      yield* Fiber.interrupt(follower)
      yield* seconds(9)
      assert.isTrue(yield* isThere)
      yield* seconds(2)
      assert.isFalse(yield* isThere)
    }).pipe(inMemory))

  it.effect("does not end during a read, however long the reader takes over one piece", () =>
    Effect.gen(function*() {
      const manager = yield* StreamManager
      yield* manager.create(name, withTtl(10))
      const reading = yield* Scope.make()
      const { cursor, stream } = yield* Effect.gen(function*() {
        const stream = yield* manager.get(name)
        const asked = { query: new URLSearchParams(), offset: undefined, otherwise: "beginning" } as const
        const { start } = yield* openAt(stream, { ...asked, isLife: () => true, mustExist: true })
        return { stream, cursor: start }
      }).pipe(Scope.provide(reading))
      yield* seconds(60)
      assert.isTrue(yield* isThere)
      assert.strictEqual((yield* stream.read(cursor)).count, 1)
      yield* Scope.close(reading, Exit.void)
      yield* seconds(9)
      assert.isTrue(yield* isThere)
      yield* seconds(2)
      assert.isFalse(yield* isThere)
    }).pipe(inMemory))

  it.effect("is another stream when a writer appends after its end", () =>
    Effect.gen(function*() {
      const manager = yield* StreamManager
      yield* manager.create(name, withTtl(10))
      yield* seconds(11)
      const refused = yield* Effect.flip(manager.append(name, { ...appending("late"), mustExist: true }))
      assert.strictEqual(refused._tag, "StreamNotFound")
      const { events } = yield* manager.append(name, appending("anew"))
      assert.strictEqual(events.first, 0)
      yield* seconds(60)
      assert.isTrue(yield* isThere)
    }).pipe(inMemory))

  it.effect("leaves the list by itself, soon after its end", () =>
    Effect.gen(function*() {
      const manager = yield* StreamManager
      yield* manager.create(name, withTtl(10))
      yield* manager.append(named("other"), appending(1))
      yield* seconds(9)
      assert.deepStrictEqual(yield* manager.list(), [name, named("other")])
      yield* seconds(7)
      yield* settled
      assert.deepStrictEqual(yield* manager.list(), [named("other")])
    }).pipe(inMemory))

  it.effect("that was forked is kept for its forks when it ends", () =>
    Effect.gen(function*() {
      const manager = yield* StreamManager
      yield* manager.create(name, withTtl(10))
      const fork = { source: name, offset: undefined, subOffset: 0 }
      yield* manager.create(named("fork"), { contentType: undefined, ttlSeconds: 100, data: [], fork })
      const heir = yield* manager.create(named("heir"), { contentType: undefined, data: [], fork })
      assert.strictEqual(heir.info.description.ttlSeconds, 10)
      yield* seconds(11)
      const stream = yield* manager.get(name)
      assert.strictEqual((yield* Effect.flip(stream.info))._tag, "StreamGone")
      const kept = yield* manager.get(named("fork"))
      assert.strictEqual((yield* kept.read(yield* kept.cursor("beginning"))).count, 1)
      yield* seconds(200)
      yield* settled
      assert.strictEqual((yield* Effect.flip(stream.info))._tag, "StreamNotFound", "the last fork has ended, too")
    }).pipe(Effect.scoped, inMemory))
})

describe("A stream that ends at a moment", () => {
  it.effect("ends then, however much it is used and followed, and its followers are told", () =>
    Effect.gen(function*() {
      const manager = yield* StreamManager
      yield* manager.create(name, {
        contentType: "application/json",
        expiresAt: "1970-01-01T01:00:30+01:00",
        data: []
      })
      const follower = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
        const stream = yield* manager.get(name)
        return yield* Effect.flip(stream.next(yield* stream.cursor("now")))
      })))
      yield* settled
      yield* seconds(29)
      assert.isTrue(yield* isThere)
      yield* seconds(7)
      yield* settled
      assert.strictEqual((yield* Fiber.join(follower))._tag, "StreamDeleted")
      assert.isFalse(yield* isThere)
    }).pipe(inMemory))
})

describe("A server that starts anew", () => {
  it.effect("knows roughly when each stream was last used, and ends those whose time came while no server ran", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const restarted = Effect.map(storageOn(disk), (storage) => layerOn(Layer.succeed(Storage, storage)))
      yield* Effect.gen(function*() {
        const manager = yield* StreamManager
        yield* manager.create(name, withTtl(100))
        yield* seconds(95)
        yield* use
      }).pipe(Effect.provide(yield* restarted))
      yield* seconds(90)
      yield* Effect.gen(function*() {
        const manager = yield* StreamManager
        assert.deepStrictEqual(yield* manager.list(), [name])
        assert.isTrue(yield* isThere, "the read counts")
      }).pipe(Effect.provide(yield* restarted))
      yield* seconds(20)
      yield* Effect.gen(function*() {
        const manager = yield* StreamManager
        yield* seconds(6)
        yield* settled
        assert.deepStrictEqual(yield* manager.list(), [])
      }).pipe(Effect.provide(yield* restarted))
      assert.deepStrictEqual(Object.keys(disk.files), [])
    }).pipe(Effect.scoped))
})
