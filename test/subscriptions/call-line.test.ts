/**
 * Hundreds of webhooks whose receivers do not answer: they keep their share of the calls, and all others are called.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { WebhookCallsMax, WebhookQueue } from "../../src/subscriptions/running/webhook-queue.ts"
import { Subscriptions } from "../../src/subscriptions/subscriptions.ts"
import { WebhookFailed, WebhookSender } from "../../src/subscriptions/webhook/webhook-sender.ts"
import { tried } from "../support/properties.ts"
import { temporaryDirectory } from "../support/served.ts"
import { append, begin, memoryStorage, settled, type WakeBody, webhookConfig } from "./stage.ts"

/** Callers of receivers, named by their first letters; each call lasts until the test ends it. */
const callers = (most: number) => {
  const line = new WebhookQueue(most)
  const begun: Array<string> = []
  const waited: Array<string> = []
  const running = new Map<string, { readonly fiber: Fiber.Fiber<unknown>; readonly end: Deferred.Deferred<void> }>()
  const start = Effect.fnUntraced(function*(name: string) {
    const end = yield* Deferred.make<void>()
    const call = Effect.andThen(Effect.sync(() => void begun.push(name)), Deferred.await(end))
    const fiber = yield* Effect.forkChild(line.take(name[0]!, () => waited.push(name), call))
    running.set(name, { fiber, end })
    yield* settled
  })
  const finish = (name: string) =>
    Effect.andThen(
      Deferred.succeed(running.get(name)!.end, undefined),
      Effect.andThen(Fiber.await(running.get(name)!.fiber), settled)
    )
  const interrupt = (name: string) => Effect.andThen(Fiber.interrupt(running.get(name)!.fiber), settled)
  return { begun, waited, start, finish, interrupt }
}

describe("the line of webhooks", () => {
  it.effect("lets a fixed number go at once, a quarter of them to one receiver, and the others in their order", () =>
    Effect.gen(function*() {
      const { begun, finish, interrupt, start, waited } = callers(4)
      for (const name of ["a1", "a2", "a3", "b1", "c1", "d1", "e1", "b2"]) yield* start(name)
      assert.deepStrictEqual(begun, ["a1", "b1", "c1", "d1"])
      assert.deepStrictEqual(waited, ["a2", "a3", "e1", "b2"])
      yield* finish("a1")
      assert.deepStrictEqual(begun.slice(4), ["a2"])
      yield* interrupt("a2")
      assert.deepStrictEqual(begun.slice(5), ["a3"])
      yield* interrupt("e1")
      yield* finish("c1")
      assert.deepStrictEqual(begun.slice(6), [])
      yield* finish("b1")
      assert.deepStrictEqual(begun.slice(6), ["b2"])
      yield* start("f1")
      assert.deepStrictEqual(begun.slice(7), ["f1"])
    }))

  const Op = Schema.Struct({
    op: Schema.Literals(["start", "start", "start", "finish", "interrupt"]),
    receiver: Schema.Literals(["a", "a", "a", "b", "c"]),
    n: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))
  })
  it.effect.prop(
    "forgets no webhook, in whatever order the calls end or are interrupted",
    [Schema.Array(Op)],
    ([history]) =>
      Effect.gen(function*() {
        const most = 5
        const { begun, finish, interrupt, start } = callers(most)
        const over = new Set<string>()
        const all: Array<string> = []
        const busy = () => begun.filter((name) => !over.has(name))
        for (const { n, op, receiver } of history) {
          const name = op === "start" ? `${receiver}${all.length}` : all.filter((name) => !over.has(name)).at(n)
          if (name === undefined || (op === "finish" && !begun.includes(name))) continue
          if (op === "start") all.push(name)
          else over.add(name)
          yield* op === "start" ? start(name) : op === "finish" ? finish(name) : interrupt(name)
          assert.isAtMost(busy().length, most)
          const waiting = all.filter((name) => !over.has(name) && !begun.includes(name))
          for (const one of waiting) {
            const isFull = busy().length === most
            assert.isTrue(isFull || busy().some((name) => name[0] === one[0]), "nobody waits without a reason")
            assert.isTrue(busy().filter((name) => name[0] === one[0]).length <= 1)
          }
        }
        for (const name of all) if (!over.has(name) && begun.includes(name)) yield* finish(name)
      }),
    tried(60, 40)
  )
})

/** Calls as they begin; those of silent.example end after ten seconds, without an answer. */
const staged = <A, E>(
  play: (calls: Array<{ readonly url: string; readonly body: WakeBody }>) => Effect.Effect<
    A,
    E,
    Effect.Services<ReturnType<typeof append>> | Subscriptions
  >
) =>
  Effect.gen(function*() {
    const calls: Array<{ readonly url: string; readonly body: WakeBody }> = []
    const sender = Layer.succeed(
      WebhookSender,
      WebhookSender.of({
        fault: () => undefined,
        post: (url, text) => {
          calls.push({ url, body: JSON.parse(text) as WakeBody })
          return url.includes("silent")
            ? Effect.andThen(Effect.sleep("10 seconds"), Effect.fail(new WebhookFailed({ message: "silent" })))
            : Effect.succeed(`{"done":true}`)
        }
      })
    )
    const ground = { storage: yield* memoryStorage, keyDirectory: `${yield* temporaryDirectory}/keys` }
    const context = yield* Effect.provideService(begin(ground, sender), WebhookCallsMax, 8)
    return yield* Effect.provideContext(play(calls), context)
  }).pipe(Effect.scoped)

describe("webhooks whose receiver does not answer", () => {
  it.effect("do not keep others from being called, and wait for their turn with their wake, however short its lease", () =>
    staged((calls) =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        const put = (id: string, url: string) =>
          subscriptions.put(id, webhookConfig({ streams: ["a"], webhookUrl: url, leaseMillis: 1_000 }), "h", "http://x")
        for (let i = 0; i < 10; i++) yield* put(`s${i}`, `https://silent.example/${i}`)
        yield* put("good", "https://good.example/")
        yield* append("a", 1)
        yield* settled
        assert.deepStrictEqual(calls.map(({ url }) => url), [
          "https://silent.example/0",
          "https://silent.example/1",
          "https://good.example/"
        ])
        // Webhooks that wait get no new wake and count no failure: they were not called yet.
        yield* TestClock.adjust("5 seconds")
        yield* settled
        const { generation, lease, retry } = yield* subscriptions.get("s9")
        assert.deepStrictEqual([generation, retry, lease !== undefined], [1, undefined, true])
        for (let i = 0; i < 30; i++) {
          yield* TestClock.adjust("1 second")
          yield* settled
        }
        const first = new Map(calls.toReversed().map(({ body, url }) => [url, body.generation]))
        assert.deepStrictEqual([first.size, first.get("https://silent.example/9")], [11, 1])
      })
    ))

  it.effect("are shown the events that exist when it is their turn", () =>
    staged((calls) =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        for (let i = 0; i < 3; i++) {
          const config = webhookConfig({
            streams: ["a"],
            webhookUrl: `https://silent.example/${i}`,
            leaseMillis: 60_000
          })
          yield* subscriptions.put(`s${i}`, config, "h", "http://x")
        }
        yield* append("a", 1)
        yield* settled
        yield* append("a", 2)
        yield* settled
        yield* TestClock.adjust("10 seconds")
        yield* settled
        const { body } = calls.find(({ url }) => url.endsWith("/2"))!
        assert.strictEqual(Number(body.streams[0]!.tail_offset), 2)
      })
    ))
})
