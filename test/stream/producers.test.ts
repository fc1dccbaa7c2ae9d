/**
 * Appends that a stream takes once, in order, or not at all: numbered appends, sequences, closing, types (PROTOCOL.md
 * 5.2).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { StorageFailed } from "../../src/domain/errors.ts"
import { CurrentLimits, defaultLimits } from "../../src/domain/limits.ts"
import { EventData } from "../../src/event/event-data.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import type { AppendRequest, DurableStream } from "../../src/stream/durable-stream.ts"
import { makeDurableStream } from "../../src/stream/stream.ts"
import { heldStream } from "../support/held-storage.ts"
import { appending, historyOf, isDone, named, settled } from "../support/storage-fixtures.ts"

const make = makeDurableStream(named("orders"))
const inMemory = Effect.provide(layerMemory)

const numbered = (epoch: number, seq: number, id = "p", data: unknown = `${id} ${epoch}.${seq}`): AppendRequest => ({
  ...appending(data),
  producer: { id, epoch, seq }
})

/** The result of an append, in few words. */
const outcome = (stream: Pick<DurableStream, "append">, request: AppendRequest) =>
  stream.append(request).pipe(
    Effect.map(({ closed, events, producer, tail }) => {
      const what = producer?.repeated === true ? `repeated ${producer.epoch}.${producer.seq}` : `new ${events.count}`
      return `${what} tail ${tail}${closed ? " closed" : ""}`
    }),
    Effect.catch((error) => Effect.succeed(error._tag as string))
  )

const dataOf = (texts: ReadonlyArray<string>) => texts.map((text) => (JSON.parse(text) as { data: unknown }).data)

describe("A producer", () => {
  it.effect("has each number taken once: in order, repeats reported, gaps and the past refused", () =>
    Effect.gen(function*() {
      const stream = yield* make
      const steps: ReadonlyArray<readonly [number, number, string]> = [
        [0, 1, "ProducerGap"],
        [0, 0, "new 1 tail 1"],
        [0, 0, "repeated 0.0 tail 1"],
        [0, 1, "new 1 tail 2"],
        [0, 0, "repeated 0.1 tail 2"],
        [0, 3, "ProducerGap"],
        [2, 1, "InvalidRequest"],
        [2, 0, "new 1 tail 3"],
        [0, 2, "ProducerFenced"],
        [1, 0, "ProducerFenced"],
        [2, 0, "repeated 2.0 tail 3"],
        [2, 1, "new 1 tail 4"]
      ]
      for (const [epoch, seq, expected] of steps) {
        assert.strictEqual(yield* outcome(stream, numbered(epoch, seq)), expected, `${epoch}.${seq}`)
      }
      assert.strictEqual(yield* outcome(stream, numbered(0, 0, "q")), "new 1 tail 5", "producers do not share numbers")
      assert.deepStrictEqual(dataOf(yield* historyOf(stream)), ["p 0.0", "p 0.1", "p 2.0", "p 2.1", "q 0.0"])
    }).pipe(Effect.scoped, inMemory))

  it.effect("counts towards the limit of producers: with those of its commit and from before a sleep, and only in this life of the stream", () =>
    Effect.gen(function*() {
      const limited = Effect.provideService(make, CurrentLimits, { ...defaultLimits, producersMax: 3 })
      const appendAll = (stream: DurableStream, ids: ReadonlyArray<string>) =>
        Effect.forEach(ids, (id) => outcome(stream, numbered(0, 0, id)), { concurrency: "unbounded" })
      yield* Effect.scoped(Effect.gen(function*() {
        const stream = yield* limited
        assert.deepStrictEqual(yield* appendAll(stream, ["a", "b"]), ["new 1 tail 1", "new 1 tail 2"])
      }))
      const stream = yield* limited
      assert.deepStrictEqual(yield* appendAll(stream, ["c", "d", "a"]), [
        "new 1 tail 3",
        "TooManyProducers",
        "repeated 0.0 tail 3"
      ])
      assert.strictEqual(yield* outcome(stream, numbered(1, 0, "a")), "new 1 tail 4", "a new epoch is no new producer")
      assert.strictEqual(yield* outcome(stream, numbered(0, 0, "d")), "TooManyProducers")
      yield* stream.delete
      assert.deepStrictEqual(yield* appendAll(stream, ["d", "e", "f", "g"]), [
        "new 1 tail 1",
        "new 1 tail 2",
        "new 1 tail 3",
        "TooManyProducers"
      ])
    }).pipe(Effect.scoped, inMemory))

  it.effect.each(["__proto__", "constructor", "toString", "a\"b", "ü🎈", " "])(
    "may be called %j, and is recognised when the stream has slept",
    (id) =>
      Effect.gen(function*() {
        for (const [seq, expected] of [[0, "new 1 tail 1"], [0, "repeated 0.0 tail 1"], [1, "new 1 tail 2"]] as const) {
          assert.strictEqual(
            yield* Effect.scoped(Effect.flatMap(make, (stream) => outcome(stream, numbered(0, seq, id)))),
            expected
          )
        }
      }).pipe(inMemory)
  )

  it.effect("whose appends share a commit is judged in order, and told of a repeat only when the first is durable", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream("orders")
      const asked = yield* Effect.forEach(
        [[0, 0], [0, 0], [0, 1], [0, 5], [0, 2]] as const,
        ([epoch, seq]) => Effect.forkChild(outcome(stream, numbered(epoch, seq)))
      )
      yield* settled
      assert.isTrue(asked.every((fiber) => !isDone(fiber)))
      yield* storage.succeed
      assert.deepStrictEqual(yield* Effect.forEach(asked, (fiber) => Fiber.join(fiber)), [
        "new 1 tail 2",
        "repeated 0.0 tail 2",
        "new 1 tail 3",
        "ProducerGap",
        "new 1 tail 4"
      ])
    }).pipe(Effect.scoped))

  it.effect("whose commit fails was never there: its repeat is new", () =>
    Effect.gen(function*() {
      const { storage, stream } = yield* heldStream("orders")
      const first = yield* Effect.forkChild(outcome(stream, numbered(0, 0)))
      const repeat = yield* Effect.forkChild(outcome(stream, numbered(0, 0)))
      yield* settled
      yield* storage.fail(new StorageFailed({ message: "no" }))
      assert.strictEqual(yield* Fiber.join(first), "StorageFailed")
      assert.isFalse(isDone(repeat))
      yield* storage.succeed
      assert.strictEqual(yield* Fiber.join(repeat), "new 1 tail 2")
    }).pipe(Effect.scoped))

  const Steps = Schema.Array(Schema.Tuple([
    Schema.Literals(["p", "q"]),
    Schema.Literals([0, 1, 2]),
    Schema.Literals([0, 1, 2, 3])
  ]))
  it.effect.prop(
    "appends each of its numbers at most once, whatever is sent in whatever order and however often",
    [Steps],
    ([steps]) =>
      Effect.gen(function*() {
        const stream = yield* make
        const taken: Array<string> = []
        const last = new Map<string, readonly [number, number]>()
        for (const [id, epoch, seq] of steps) {
          const [lastEpoch, lastSeq] = last.get(id) ?? [-1, -1]
          const fresh = epoch > lastEpoch ? seq === 0 : epoch === lastEpoch && seq === lastSeq + 1
          const answer = yield* outcome(stream, numbered(epoch, seq, id))
          assert.strictEqual(answer.startsWith("new"), fresh, `${id} ${epoch}.${seq} after ${lastEpoch}.${lastSeq}`)
          assert.strictEqual(answer.startsWith("repeated"), epoch === lastEpoch && seq <= lastSeq)
          if (!fresh) continue
          last.set(id, [epoch, seq])
          taken.push(`${id} ${epoch}.${seq}`)
        }
        assert.deepStrictEqual(dataOf(yield* historyOf(stream)), taken)
      }).pipe(Effect.scoped, inMemory)
  )
})

describe("A closed stream", () => {
  it.effect("recognises the append that closed it, and no other", () =>
    Effect.gen(function*() {
      const closing = { ...numbered(0, 1), close: true }
      yield* Effect.scoped(Effect.gen(function*() {
        const stream = yield* make
        yield* stream.append(numbered(0, 0))
        assert.strictEqual(yield* outcome(stream, closing), "new 1 tail 2 closed")
      }))
      const stream = yield* make
      assert.strictEqual(yield* outcome(stream, { ...closing, ...appending("other") }), "repeated 0.1 tail 2 closed")
      for (const other of [numbered(0, 0), numbered(0, 2), numbered(1, 0), numbered(0, 1, "q")]) {
        assert.strictEqual(yield* outcome(stream, { ...other, close: true }), "StreamClosed")
      }
      assert.strictEqual(yield* outcome(stream, appending("more")), "StreamClosed")
      assert.strictEqual(yield* outcome(stream, { data: [], close: true }), "new 0 tail 2 closed")
    }).pipe(Effect.scoped, inMemory))

  it.effect("says that it is closed before it says what else is wrong", () =>
    Effect.gen(function*() {
      const stream = yield* make
      yield* stream.append({ ...appending("last"), close: true, seq: "b" })
      const wrong = { ...appending("more"), contentType: "text/plain", seq: "a", ifMatch: 7 }
      assert.strictEqual(yield* outcome(stream, wrong), "StreamClosed")
    }).pipe(Effect.scoped, inMemory))
})

describe("An append", () => {
  it.effect("with a sequence that is not greater, byte for byte, is refused, even after a sleep", () =>
    Effect.gen(function*() {
      const answers: Array<string> = []
      for (const seq of ["09", "10", "2", "10", "a", "B", "ä", "z", "", "ä\u0000"]) {
        answers.push(yield* Effect.scoped(Effect.flatMap(make, (stream) => outcome(stream, { ...appending(1), seq }))))
      }
      assert.deepStrictEqual(answers, [
        "new 1 tail 1",
        "new 1 tail 2",
        "new 1 tail 3",
        "SequenceRegression",
        "new 1 tail 4",
        "SequenceRegression",
        "new 1 tail 5",
        "SequenceRegression",
        "SequenceRegression",
        "new 1 tail 6"
      ])
    }).pipe(inMemory))

  it.effect("of another type, of bytes to JSON or of JSON to bytes is refused", () =>
    Effect.gen(function*() {
      const stream = yield* make
      yield* stream.create({ contentType: "Text/Plain; charset=utf-8", data: [] })
      const bytes = { data: [EventData.fromBytes(Buffer.from("x"))] }
      assert.strictEqual(yield* outcome(stream, { ...bytes, contentType: "text/plain" }), "new 1 tail 1")
      assert.strictEqual(yield* outcome(stream, bytes), "new 1 tail 2")
      assert.strictEqual(yield* outcome(stream, { ...bytes, contentType: "text/html" }), "ContentTypeMismatch")
      assert.strictEqual(yield* outcome(stream, appending("x")), "ContentTypeMismatch")
      const json = yield* makeDurableStream(named("json"))
      yield* json.append(appending(1))
      assert.strictEqual(yield* outcome(json, bytes), "ContentTypeMismatch")
    }).pipe(Effect.scoped, inMemory))

  it.effect("that needs the stream to exist does not make it", () =>
    Effect.gen(function*() {
      const stream = yield* make
      assert.strictEqual(yield* outcome(stream, { ...appending(1), mustExist: true }), "StreamNotFound")
      assert.strictEqual(yield* outcome(stream, appending(1)), "new 1 tail 1")
      assert.strictEqual(yield* outcome(stream, { ...appending(1), mustExist: true }), "new 1 tail 2")
    }).pipe(Effect.scoped, inMemory))
})
