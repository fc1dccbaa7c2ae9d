/**
 * Hooks: the events that they see, their order, the effect of their failure, with a fiber and without; and the three
 * factories.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Logger, Option, References, Stream } from "effect"
import { TailMismatch } from "../../src/domain/errors.ts"
import { EventData } from "../../src/event/event-data.ts"
import type { BeforeAppendHook } from "../../src/hooks/hooks.ts"
import { HookError } from "../../src/hooks/hooks.ts"
import {
  ActiveFactory,
  EmbryonicAgentFactory,
  PlainFactory,
  StreamFactory,
  ValidatedFactory
} from "../../src/hooks/stream-factory.ts"
import { withHooks } from "../../src/hooks/with-hooks.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import type { Storage } from "../../src/storage/storage.ts"
import type { Appended, AppendError, AppendRequest, DurableStream } from "../../src/stream/durable-stream.ts"
import { makeDurableStream } from "../../src/stream/stream.ts"
import { appending, historyOf, named, settled, shown, textsOf } from "../support/storage-fixtures.ts"

const name = named("orders")
const inMemory = Effect.provide(layerMemory)
const make = makeDurableStream(name)

const refusing = (id: string, refused: unknown): BeforeAppendHook => ({
  id,
  run: ({ data }) =>
    data === refused ? Effect.fail(new HookError({ hookId: id, message: `not ${String(data)}` })) : Effect.void
})

/** Collects the messages of the log, with their annotations. */
const logged = () => {
  const lines: Array<{ readonly level: string; readonly message: unknown; readonly annotations: object }> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    lines.push({ level: logLevel, message, annotations: fiber.getRef(References.CurrentLogAnnotations) })
  })
  return { lines, layer: Logger.layer([logger]) }
}

/** Whether a stream of that factory takes the data, and the messages that it logs then. */
const takes = (factory: Layer.Layer<StreamFactory, never, Storage>, data: unknown) =>
  Effect.gen(function*() {
    const { layer, lines } = logged()
    const stream = yield* Effect.flatMap(StreamFactory, (made) => made.make(name))
    const result = yield* Effect.provide(Effect.result(stream.append(appending(data))), layer)
    const refused = result._tag === "Failure" && result.failure._tag === "HookError"
      ? result.failure.hookId
      : undefined
    return { refused, lines }
  }).pipe(Effect.scoped, Effect.provide(Layer.provide(factory, layerMemory)))

describe("withHooks", () => {
  it.effect("runs before hooks in order for every event, then the append, then after hooks in order", () =>
    Effect.gen(function*() {
      const calls: Array<string> = []
      const stream = yield* make
      const before = (id: string): BeforeAppendHook => ({
        id,
        run: ({ data, name }) => Effect.andThen(Effect.yieldNow, Effect.sync(() => calls.push(`${id} ${name} ${data}`)))
      })
      const after = (id: string) => ({
        id,
        run: ({ event, name }: { event: { offset: string; data: unknown }; name: string }) =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => calls.push(`${id} ${name} ${Number(event.offset)} ${event.data}`))
          )
      })
      const hooked = withHooks(stream, {
        beforeAppend: [before("b1"), before("b2")],
        afterAppend: [after("a1"), after("a2")]
      })
      const block = yield* hooked.append(appending("x", "y"))
      assert.deepStrictEqual(textsOf(block), [shown(name, 0, `"x"`), shown(name, 1, `"y"`)])
      assert.deepStrictEqual(calls, [
        "b1 orders x",
        "b2 orders x",
        "b1 orders y",
        "b2 orders y",
        "a1 orders 0 x",
        "a2 orders 0 x",
        "a1 orders 1 y",
        "a2 orders 1 y"
      ])
    }).pipe(inMemory))

  it.effect("lets the first failure veto: later hooks do not run, and nothing is stored", () =>
    Effect.gen(function*() {
      const calls: Array<string> = []
      const stream = yield* make
      const never: BeforeAppendHook = { id: "never", run: () => Effect.sync(() => calls.push("before")) }
      const hooked = withHooks(stream, {
        beforeAppend: [refusing("first", "bad"), never],
        afterAppend: [{ id: "after", run: () => Effect.sync(() => calls.push("after")) }]
      })
      const error = yield* Effect.flip(hooked.append(appending("bad")))
      assert.deepStrictEqual(error, new HookError({ hookId: "first", message: "not bad" }))
      assert.deepStrictEqual(calls, [])
      assert.strictEqual((yield* Effect.flip(stream.info))._tag, "StreamNotFound")
    }).pipe(inMemory))

  it.effect("refuses the whole append for one refused event, and its closing with it", () =>
    Effect.gen(function*() {
      const stream = yield* make
      const hooked = withHooks(stream, { beforeAppend: [refusing("picky", "bad")] })
      yield* hooked.append(appending("good"))
      yield* Effect.flip(hooked.append({ ...appending("good", "good", "bad", "good"), close: true }))
      const info = yield* hooked.info
      assert.deepStrictEqual([info.tail, info.closed], [1, false])
    }).pipe(inMemory))

  it.effect("runs no after hook for an append that is refused", () =>
    Effect.gen(function*() {
      const calls: Array<string> = []
      const stream = yield* make
      const hooked = withHooks(stream, {
        afterAppend: [{ id: "after", run: () => Effect.sync(() => calls.push("after")) }]
      })
      const error = yield* Effect.flip(hooked.append({ ...appending("x"), ifMatch: 5 }))
      assert.instanceOf(error, TailMismatch)
      assert.deepStrictEqual(calls, [])
    }).pipe(inMemory))

  const failures: ReadonlyArray<readonly [how: string, run: () => Effect.Effect<void, unknown>]> = [
    ["fails", () => Effect.fail("down")],
    ["dies", () => Effect.die(new Error("down"))],
    ["throws", () => {
      throw new Error("down")
    }]
  ]
  it.effect.each(failures)(
    "logs an after hook that %s, and neither the append nor the next hook notices",
    ([, run]) =>
      Effect.gen(function*() {
        const { layer, lines } = logged()
        const calls: Array<unknown> = []
        const stream = yield* make
        const hooked = withHooks(stream, {
          afterAppend: [
            { id: "broken", run },
            { id: "sound", run: ({ event }) => Effect.sync(() => calls.push(event.data)) }
          ]
        })
        const block = yield* Effect.provide(hooked.append(appending("x", "y")), layer)
        assert.strictEqual(block.events.count, 2)
        assert.deepStrictEqual(calls, ["x", "y"])
        assert.deepStrictEqual(
          lines.map(({ annotations, level }) => ({ level, ...annotations })),
          ["0000000000000000", "0000000000000001"].map((offset) => (
            { level: "Error", stream: "orders", offset, hookId: "broken" }
          ))
        )
      }).pipe(inMemory)
  )

  it.effect("asks the outer hooks first when hooks are put around hooks", () =>
    Effect.gen(function*() {
      const stream = yield* make
      const inner = withHooks(stream, { beforeAppend: [refusing("inner", "bad")] })
      const outer = withHooks(inner, { beforeAppend: [refusing("outer", "bad")] })
      const error = yield* Effect.flip(outer.append(appending("bad")))
      assert.deepStrictEqual(error, new HookError({ hookId: "outer", message: "not bad" }))
    }).pipe(inMemory))

  it.effect("gives the stream itself back if there are no hooks", () =>
    Effect.gen(function*() {
      const stream = yield* make
      assert.strictEqual(withHooks(stream, {}), stream)
      assert.strictEqual(withHooks(stream, { beforeAppend: [], afterAppend: [] }), stream)
    }).pipe(inMemory))

  it.effect("leaves reading, following and deleting untouched", () =>
    Effect.gen(function*() {
      const hooked = withHooks(yield* make, { beforeAppend: [refusing("picky", "bad")] })
      yield* hooked.append(appending(1, 2))
      assert.deepStrictEqual(yield* historyOf(hooked), [shown(name, 0, "1"), shown(name, 1, "2")])
      const events = yield* Stream.runCollect(Stream.take(hooked.subscribe(1), 1))
      assert.deepStrictEqual(events.map(({ data }) => data), [2])
      yield* hooked.delete
    }).pipe(inMemory))

  it.effect("Promise 8: shows a hook the value, and stores the text as it was sent", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const look: BeforeAppendHook = { id: "look", run: ({ data }) => Effect.sync(() => seen.push(data)) }
      const hooked = withHooks(yield* make, { beforeAppend: [look] })
      const text = `{ "n": 12345678901234567890, "n": 1.0 }`
      const block = yield* hooked.append({ data: [EventData.fromText(text)] })
      assert.deepStrictEqual(seen, [{ n: 1 }])
      assert.deepStrictEqual(textsOf(block), [shown(name, 0, text)])
    }).pipe(inMemory))
})

type Way = (
  stream: DurableStream<HookError>,
  request: AppendRequest
) => Effect.Effect<Appended, AppendError | HookError>

/** The ways to append: by a fiber, or by a call that is answered. */
const ways: ReadonlyArray<readonly [how: string, append: Way]> = [
  ["append", (stream, request) => stream.append(request)],
  ["appendUnsafe", (stream, request) => Effect.callback((resume) => stream.appendUnsafe(request, resume))]
]

/** The ways in which a hook ends: at once, when it is run, or in a later turn. */
const kinds: ReadonlyArray<readonly [how: string, later: <E>(end: Exit.Exit<void, E>) => Effect.Effect<void, E>]> = [
  ["has its end at once", (end) => end],
  ["has its end when it is run", (end) => Effect.suspend(() => end)],
  ["suspends", (end) => Effect.andThen(Effect.yieldNow, end)]
]

/** Calls of a stream's own `appendUnsafe`. */
const counted = (stream: DurableStream) => {
  const calls: Array<number> = []
  const watched: DurableStream = {
    ...stream,
    appendUnsafe: (request, done) => {
      calls.push(request.data.length)
      stream.appendUnsafe(request, done)
    }
  }
  return { calls, watched }
}

describe.each(ways)("%s around a before hook", (_, append) => {
  describe.each(kinds)("that %s", (_, later) => {
    it.effect("asks every hook of every event in order, and appends the data that all of them let pass", () =>
      Effect.gen(function*() {
        const asked: Array<string> = []
        const hook = (id: string): BeforeAppendHook => ({
          id,
          run: ({ data }) => {
            asked.push(`${id} ${String(data)}`)
            return later(Exit.void)
          }
        })
        const hooked = withHooks(yield* make, { beforeAppend: [hook("a"), hook("b")] })
        const appended = yield* append(hooked, appending("x", "y", "z"))
        assert.deepStrictEqual(asked, ["a x", "b x", "a y", "b y", "a z", "b z"])
        assert.deepStrictEqual(textsOf(appended), [`"x"`, `"y"`, `"z"`].map((text, i) => shown(name, i, text)))
      }).pipe(inMemory))

    const ends: ReadonlyArray<
      readonly [what: string, end: Exit.Exit<void, HookError>, isEnd: (exit: Ended) => boolean]
    > = [
      [
        "refuses",
        Exit.fail(new HookError({ hookId: "last", message: "no" })),
        (exit) => Exit.isFailure(exit) && Option.exists(Exit.findErrorOption(exit), ({ _tag }) => _tag === "HookError")
      ],
      ["is broken", Exit.die(new Error("a mistake")), (exit) => Exit.hasDies(exit)],
      ["is interrupted", Exit.interrupt(), (exit) => Exit.hasInterrupts(exit)]
    ]
    it.effect.each(ends)(
      "stores nothing when it %s, and asks no later hook",
      ([, end, isEnd]) =>
        Effect.gen(function*() {
          const asked: Array<unknown> = []
          const stream = yield* make
          const hooked = withHooks(stream, {
            beforeAppend: [
              { id: "last", run: ({ data }) => later(data === "bad" ? end : Exit.void) },
              { id: "behind", run: ({ data }) => Effect.sync(() => asked.push(data)) }
            ],
            afterAppend: [{ id: "after", run: () => Effect.sync(() => asked.push("after")) }]
          })
          assert.isTrue(isEnd(yield* Effect.exit(append(hooked, appending("good", "bad", "good")))))
          assert.deepStrictEqual(asked, ["good"])
          assert.strictEqual((yield* Effect.flip(stream.info))._tag, "StreamNotFound")
        }).pipe(inMemory)
    )
  })

  it.effect("that throws has made a mistake: nothing is stored, and the next append is asked for as before", () =>
    Effect.gen(function*() {
      const hooked = withHooks(yield* make, {
        beforeAppend: [{
          id: "throws",
          run: ({ data }) => {
            if (data === "bad") throw new Error("a mistake")
            return Effect.void
          }
        }]
      })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(append(hooked, appending("bad")))))
      assert.deepStrictEqual(textsOf(yield* append(hooked, appending("good"))), [shown(name, 0, `"good"`)])
    }).pipe(inMemory))

  it.effect("asks thirty thousand events without running out of stack", () =>
    Effect.gen(function*() {
      let asked = 0
      const hooked = withHooks(yield* make, {
        beforeAppend: [{ id: "count", run: () => Effect.sync(() => void asked++) }]
      })
      const data = Array.from({ length: 30_000 }, (_, i) => EventData.fromValue(i))
      assert.strictEqual((yield* append(hooked, { data })).tail, data.length)
      assert.strictEqual(asked, data.length)
    }).pipe(inMemory))
})

type Ended = Exit.Exit<Appended, AppendError | HookError>

describe("appendUnsafe", () => {
  const request = appending("x")

  it.effect("asks a hook that does not suspend within the call, and queues the append in it", () =>
    Effect.gen(function*() {
      const { calls, watched } = counted(yield* make)
      for (const [, later] of kinds.slice(0, 2)) {
        const hooked = withHooks(watched, { beforeAppend: [{ id: "sync", run: () => later(Exit.void) }] })
        const before = calls.length
        const answered = yield* Deferred.make<void>()
        hooked.appendUnsafe(request, () => Deferred.doneUnsafe(answered, Exit.void))
        assert.strictEqual(calls.length, before + 1)
        yield* Deferred.await(answered)
      }
    }).pipe(inMemory))

  it.effect("waits for a hook that suspends, and is answered once", () =>
    Effect.gen(function*() {
      const { calls, watched } = counted(yield* make)
      const thought = yield* Deferred.make<void>()
      const ends: Array<string> = []
      const hooked = withHooks(watched, { beforeAppend: [{ id: "think", run: () => Deferred.await(thought) }] })
      const answered = yield* Deferred.make<void>()
      hooked.appendUnsafe(request, (exit) => {
        ends.push(exit._tag)
        Deferred.doneUnsafe(answered, Exit.void)
      })
      yield* settled
      assert.deepStrictEqual(calls, [])
      yield* Deferred.succeed(thought, undefined)
      yield* Deferred.await(answered)
      yield* settled
      assert.deepStrictEqual([calls, ends], [[1], ["Success"]])
    }).pipe(inMemory))

  it.effect.each(kinds)("is answered after its after hooks: one that %s", ([, later]) =>
    Effect.gen(function*() {
      const told: Array<unknown> = []
      const hooked = withHooks(yield* make, {
        afterAppend: [{
          id: "tell",
          run: ({ event }) => Effect.andThen(later(Exit.void), Effect.sync(() => told.push(event.data)))
        }]
      })
      const answered = yield* Deferred.make<number>()
      hooked.appendUnsafe(appending("x", "y"), () => Deferred.doneUnsafe(answered, Exit.succeed(told.length)))
      assert.strictEqual(yield* Deferred.await(answered), 2)
      assert.deepStrictEqual(told, ["x", "y"])
    }).pipe(inMemory))

  it.effect("logs the failure of an after hook with the stream's own logger, and is answered all the same", () =>
    Effect.gen(function*() {
      const { layer, lines } = logged()
      const factory = StreamFactory.layerWith({ afterAppend: [{ id: "broken", run: () => Effect.fail("down") }] })
      yield* Effect.gen(function*() {
        const stream = yield* Effect.flatMap(StreamFactory, (made) => made.make(name))
        const answered = yield* Deferred.make<Ended>()
        stream.appendUnsafe(request, (exit) => Deferred.doneUnsafe(answered, Exit.succeed(exit)))
        assert.isTrue(Exit.isSuccess(yield* Deferred.await(answered)))
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(Layer.provide(factory, layerMemory), layer)))
      assert.deepStrictEqual(lines.map(({ annotations, level }) => ({ level, annotations })), [{
        level: "Error",
        annotations: { stream: "orders", offset: "0000000000000000", hookId: "broken" }
      }])
    }))
})

describe("A stream of", () => {
  const untyped: ReadonlyArray<unknown> = [1, "text", null, [], {}, { _type: 1 }, { _type: null }, { type: "a" }]

  it.effect("PlainFactory takes everything, and this factory is the active one", () =>
    Effect.gen(function*() {
      for (const data of untyped) assert.isUndefined((yield* takes(PlainFactory, data)).refused)
      assert.strictEqual(ActiveFactory, PlainFactory)
    }))

  it.effect("ValidatedFactory takes data with a _type that is a string", () =>
    Effect.gen(function*() {
      for (const data of untyped) assert.strictEqual((yield* takes(ValidatedFactory, data)).refused, "validate-type")
      for (const _type of ["", "note", "agent:started"]) {
        assert.isUndefined((yield* takes(ValidatedFactory, { _type })).refused)
      }
    }))

  it.effect("EmbryonicAgentFactory takes data with a _type that starts with agent:, and logs it", () =>
    Effect.gen(function*() {
      for (const data of [...untyped, { _type: "note" }, { _type: "Agent:a" }, { _type: " agent:a" }]) {
        const { lines, refused } = yield* takes(EmbryonicAgentFactory, data)
        assert.strictEqual(refused, "validate-agent-event")
        assert.deepStrictEqual(lines, [])
      }
      const { lines, refused } = yield* takes(EmbryonicAgentFactory, { _type: "agent:started" })
      assert.isUndefined(refused)
      assert.deepStrictEqual(lines.map(({ annotations, level, message }) => ({ level, message, annotations })), [{
        level: "Info",
        message: ["Event appended"],
        annotations: { stream: "orders", offset: "0000000000000000" }
      }])
    }))
})
