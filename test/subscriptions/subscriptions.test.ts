/**
 * The subscriptions of a running server: which of them are told of which events, when, and how failures end.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { StorageFailed } from "../../src/domain/errors.ts"
import type { StreamName } from "../../src/domain/types.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import type { Log } from "../../src/storage/storage.ts"
import { Storage } from "../../src/storage/storage.ts"
import { ack, claim } from "../../src/subscriptions/machine/transitions.ts"
import { Subscriptions } from "../../src/subscriptions/subscriptions.ts"
import { WebhookSender } from "../../src/subscriptions/webhook/webhook-sender.ts"
import { offsetOf } from "../support/names.ts"
import { temporaryDirectory } from "../support/served.ts"
import {
  append,
  begin,
  cursors,
  eventsOf,
  eventually,
  memoryStorage,
  pullConfig,
  settled,
  StandIn,
  webhookConfig
} from "./stage.ts"

/** A stage in memory whose webhooks answer as a test says. */
const staged = <A, E>(
  play: (hooks: StandIn, storage: Storage["Service"]) => Effect.Effect<A, E, Subscriptions | StreamManager>,
  change: (storage: Storage["Service"]) => Storage["Service"] = (storage) => storage
) =>
  Effect.gen(function*() {
    const hooks = new StandIn()
    const storage = change(yield* memoryStorage)
    const context = yield* begin({ storage, keyDirectory: `${yield* temporaryDirectory}/keys` }, hooks.layer)
    return yield* Effect.provideContext(play(hooks, storage), context)
  }).pipe(Effect.scoped)

const put = (id: string, config = webhookConfig({ pattern: "events/*" }), hash = "hash") =>
  Effect.flatMap(Subscriptions, (subscriptions) => subscriptions.put(id, config, hash, "http://127.0.0.1:1"))

describe("a webhook subscription", () => {
  it.effect("is tried again with growing pauses until it answers, and is `failed` meanwhile", () =>
    staged((hooks) =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        hooks.answer = () => undefined
        yield* put("s")
        yield* append("events/a", 1)
        yield* eventually(() => hooks.calls.length === 1)
        for (const [failures, seconds] of [1, 2, 4, 8, 16, 32, 60, 60].entries()) {
          yield* settled
          const { next = NaN } = (yield* subscriptions.get("s")).retry!
          const pause = next - (yield* Clock.currentTimeMillis)
          assert.isTrue(pause >= seconds * 800 && pause <= Math.min(60, seconds * 1.2) * 1000, `${pause} ms`)
          yield* TestClock.adjust(pause - 1)
          yield* settled
          assert.strictEqual(hooks.calls.length, failures + 1)
          yield* TestClock.adjust(1)
          yield* eventually(() => hooks.calls.length === failures + 2)
        }
        hooks.answer = () => `{"done":true}`
        yield* settled
        yield* TestClock.adjust("1 minute")
        yield* eventually(() => hooks.calls.length === 10)
        yield* settled
        assert.deepStrictEqual(yield* cursors("s"), { "events/a": 1 })
        assert.isUndefined((yield* subscriptions.get("s")).retry)
        assert.strictEqual(new Set(hooks.calls.map(({ body }) => body.wake_id)).size, 1)
      })
    ))

  it.effect("is called once for all events that come while it works, and again for them when it is done", () =>
    staged((hooks) =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        yield* put("s")
        yield* append("events/a", 1)
        yield* eventually(() => hooks.calls.length === 1)
        yield* append("events/a", 2, 3)
        yield* append("events/b", 1)
        yield* settled
        assert.strictEqual(hooks.calls.length, 1)
        const { body } = hooks.calls[0]!
        const reference = { wakeId: body.wake_id, generation: 1, tokenGeneration: 1 }
        assert.strictEqual(yield* subscriptions.verify("s", body.callback_token), 1)
        assert.isTrue(
          yield* subscriptions.act("s", ack("webhook", { ...reference, acks: [["events/a", 1]], done: true }))
        )
        yield* eventually(() => hooks.calls.length === 2)
        const streams = hooks.calls[1]!.body.streams.map((
          { acked_offset, path, tail_offset }
        ) => [path, acked_offset, Number(tail_offset)])
        assert.deepStrictEqual(streams, [["events/a", "0000000000000001", 3], ["events/b", "-1", 1]])
      })
    ))

  it.effect("whose worker never comes back is called again when the lease ends", () =>
    staged((hooks) =>
      Effect.gen(function*() {
        yield* put("s", webhookConfig({ pattern: "events/*", leaseMillis: 10_000 }))
        yield* append("events/a", 1)
        yield* eventually(() => hooks.calls.length === 1)
        yield* settled
        yield* TestClock.adjust(9_999)
        yield* settled
        assert.strictEqual(hooks.calls.length, 1)
        yield* TestClock.adjust(1)
        yield* eventually(() => hooks.calls.length === 2)
        assert.strictEqual(hooks.calls[1]!.body.generation, 2)
      })
    ))

  it.effect("is not called for earlier events, nor for other streams, nor after its deletion", () =>
    staged((hooks, storage) =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        yield* append("events/old", 1, 2)
        yield* put("s", webhookConfig({ pattern: "events/*", streams: ["extra", "none"] }))
        assert.deepStrictEqual(yield* cursors("s"), { extra: 0, none: 0, "events/old": 2 })
        yield* append("others/a", 1)
        yield* settled
        assert.strictEqual(hooks.calls.length, 0)
        yield* append("extra", 1)
        yield* eventually(() => hooks.calls.length === 1)
        const { body } = hooks.calls[0]!
        yield* subscriptions.remove("s")
        yield* subscriptions.remove("s")
        yield* append("events/old", 3)
        yield* TestClock.adjust("1 hour")
        yield* settled
        assert.strictEqual(hooks.calls.length, 1)
        assert.deepStrictEqual((yield* storage.list()).filter((name) => name.startsWith("__ds/")), [])
        assert.strictEqual(yield* codeOf(subscriptions.get("s")), "SUBSCRIPTION_NOT_FOUND")
        yield* put("s")
        assert.strictEqual(yield* codeOf(subscriptions.verify("s", body.callback_token)), "TOKEN_INVALID")
      })
    ))

  it.effect("that many clients make at once is made once, and a different request is refused", () =>
    staged(() =>
      Effect.gen(function*() {
        const all = yield* Effect.forEach(Array.from({ length: 20 }), () => put("s"), { concurrency: "unbounded" })
        assert.strictEqual(all.filter(({ made }) => made).length, 1)
        assert.strictEqual(
          yield* codeOf(put("s", webhookConfig({ pattern: "other/*" }), "another")),
          "SUBSCRIPTION_ALREADY_EXISTS"
        )
      })
    ))

  it.effect("that is deleted and made at once exists or not, and never half", () =>
    staged((_, storage) =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        for (let round = 0; round < 20; round++) {
          yield* put("s")
          yield* Effect.all([subscriptions.remove("s"), put("s"), subscriptions.remove("s"), put("s"), put("s")], {
            concurrency: "unbounded"
          })
          const logs = (yield* storage.list()).filter((name) => name.startsWith("__ds/"))
          const known = yield* Effect.result(subscriptions.get("s"))
          assert.deepStrictEqual([logs.length, known._tag], [1, "Success"])
        }
      })
    ))

  it.effect("hears of a stream by name from the moment it looked at the stream", () =>
    staged(() =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        yield* put("s", webhookConfig({ streams: ["a"] }))
        for (let turns = 0; turns < 60; turns++) {
          const name = `b${turns}`
          yield* append(name, 1)
          const adding = yield* Effect.forkChild(subscriptions.addStreams("s", [name]))
          yield* Effect.repeat(Effect.yieldNow, { times: turns })
          yield* append(name, 2)
          yield* Fiber.join(adding)
          const link = (yield* subscriptions.get("s")).links.get(name)
          assert.strictEqual(link?.tail, 2, `after ${turns} turns`)
        }
      })
    ))

  it.effect("no longer reads a stream that is gone", () =>
    staged((hooks) =>
      Effect.gen(function*() {
        const manager = yield* StreamManager
        yield* put("s", webhookConfig({ pattern: "events/*", streams: ["by-name"] }))
        for (const name of ["events/a", "by-name"]) {
          yield* append(name, 1)
          yield* manager.delete(name as StreamName)
        }
        assert.deepStrictEqual(yield* cursors("s"), { "by-name": 0 })
        yield* settled
        assert.isAtMost(hooks.calls.length, 1)
      })
    ))

  it.effect("has its callbacks sent to the address at which its server was reached last", () =>
    staged((hooks) =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        const config = webhookConfig({ pattern: "events/*" })
        yield* put("s", config)
        assert.isFalse((yield* subscriptions.put("s", config, "hash", "http://localhost:2")).made)
        yield* append("events/a", 1)
        yield* eventually(() => hooks.calls.length === 1)
        assert.strictEqual(
          hooks.calls[0]!.body.callback_url,
          "http://localhost:2/v1/stream/__ds/subscriptions/s/callback"
        )
      })
    ))

  it.effect("is released in the middle of a call when it is deleted or the wake is over", () =>
    Effect.gen(function*() {
      let calls = 0
      let ended = 0
      const hanging = Layer.succeed(
        WebhookSender,
        WebhookSender.of({
          fault: () => undefined,
          post: () =>
            Effect.onInterrupt(Effect.suspend(() => (calls++, Effect.never)), () => Effect.sync(() => ended++))
        })
      )
      const ground = { storage: yield* memoryStorage, keyDirectory: `${yield* temporaryDirectory}/keys` }
      const play = Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        yield* put("s", webhookConfig({ pattern: "events/*", leaseMillis: 1_000 }))
        yield* append("events/a", 1)
        yield* eventually(() => calls === 1)
        yield* TestClock.adjust("1 second")
        yield* settled
        yield* TestClock.adjust("2 seconds")
        yield* eventually(() => calls === 2 && ended === 1)
        yield* subscriptions.remove("s")
        yield* eventually(() => ended === 2)
      })
      yield* Effect.provideContext(play, yield* begin(ground, hanging))
    }).pipe(Effect.scoped))

  it.effect("learns of streams by name from their tail on, and forgets them", () =>
    staged((hooks) =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        yield* put("s", webhookConfig({ streams: ["a"] }))
        yield* append("b", 1, 2)
        yield* subscriptions.addStreams("s", ["b", "a"])
        assert.deepStrictEqual(yield* cursors("s"), { a: 0, b: 2 })
        yield* append("b", 3)
        yield* eventually(() => hooks.calls.length === 1)
        assert.strictEqual(hooks.calls[0]!.body.streams[0]!.link_type, "explicit")
      })
    ))

  it.effect("reads a stream that was deleted and made again from its beginning", () =>
    staged((hooks) =>
      Effect.gen(function*() {
        const manager = yield* StreamManager
        hooks.answer = () => `{"done":true}`
        yield* put("s")
        yield* append("events/a", 1, 2)
        yield* eventually(() => hooks.calls.length === 1)
        yield* settled
        yield* manager.delete("events/a" as StreamName)
        yield* append("events/a", "new")
        yield* eventually(() => hooks.calls.length === 2)
        assert.deepInclude(hooks.calls[1]!.body.streams[0], { acked_offset: "-1", tail_offset: "0000000000000001" })
      })
    ))

  it.effect("is told in the end of events that its log could not keep at first", () => {
    let fails = false
    const failing = (log: Log): Log => ({
      ...log,
      get state() {
        return log.state
      },
      commit: (commit) => fails ? Effect.fail(new StorageFailed({ message: "for the test" })) : log.commit(commit)
    })
    return staged(
      (hooks) =>
        Effect.gen(function*() {
          yield* put("s")
          fails = true
          yield* append("events/a", 1).pipe(Effect.provideService(Storage, yield* memoryStorage))
          yield* settled
          assert.strictEqual(hooks.calls.length, 0, "nobody hears of what is not durable")
          fails = false
          yield* TestClock.adjust("1 second")
          yield* eventually(() => hooks.calls.length === 1)
        }).pipe(Effect.scoped),
      (storage) => ({
        ...storage,
        create: (description, first) =>
          Effect.map(
            storage.create(description, first),
            (log) => description.name.startsWith("__ds/") ? failing(log) : log
          )
      })
    )
  })
})

describe("a pull-wake subscription", () => {
  it.effect("writes one event for each wake, once its stream exists, and is not woken by that", () =>
    staged(() =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        yield* append("wake/other", 1)
        yield* put("s", pullConfig({ pattern: "**", wakeStream: "wake/pool" }))
        yield* put("t", pullConfig({ pattern: "wake/*", wakeStream: "wake/other" }))
        assert.deepStrictEqual(yield* cursors("t"), {})
        yield* append("events/a", 1)
        yield* settled
        assert.isDefined((yield* subscriptions.get("s")).retry?.next, "there is no wake stream yet")
        const manager = yield* StreamManager
        yield* manager.create("wake/pool" as StreamName, { contentType: "application/json", data: [] })
        yield* TestClock.adjust("2 seconds")
        yield* settled
        yield* append("events/a", 2)
        yield* settled
        const wake = { type: "wake", subscription_id: "s", stream: "events/a", generation: 1, ts: 2_000 }
        const [event] = yield* eventsOf("wake/pool")
        assert.deepInclude(event, { ...wake, ts: (event as { readonly ts: number }).ts })
        assert.deepStrictEqual(yield* cursors("s"), { "wake/other": 1, "events/a": 0 })
        assert.deepNestedInclude(yield* subscriptions.act("s", claim("me")), { generation: 1 })
        yield* TestClock.adjust("30 seconds")
        yield* settled
        const generations = (yield* eventsOf("wake/pool")).map((data) => (data as { generation: number }).generation)
        assert.deepStrictEqual(generations, [1, 2], "the worker did not come back")
      })
    ))

  it.effect("ends a lease at the stated time, even if the clock is set back meanwhile", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(7_200_000)
      yield* staged(() =>
        Effect.gen(function*() {
          const { act } = yield* Subscriptions
          yield* append("wake", 0)
          yield* put("s", pullConfig({ pattern: "events/*", leaseMillis: 10_000 }))
          yield* append("events/a", 1)
          yield* act("s", claim("me"))
          yield* TestClock.setTime(3_600_000)
          yield* TestClock.adjust(9_999)
          assert.strictEqual(yield* codeOf(act("s", claim("you"))), "ALREADY_CLAIMED")
          yield* TestClock.adjust(1)
          assert.strictEqual((yield* act("s", claim("you"))).generation, 2)
        })
      )
    }))
})

const codeOf = <A, E, R>(failing: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(failing), (error) => (error as { readonly code?: string }).code)

describe("the log of a subscription", () => {
  it.effect("moves on when it has become long, and nothing is lost", () =>
    staged((hooks, storage) =>
      Effect.gen(function*() {
        hooks.answer = () => `{"done":true}`
        yield* put("s")
        const logs = Effect.map(storage.list(), (names) => names.filter((name) => name.startsWith("__ds/")))
        let count = 0
        while ((yield* logs)[0] !== "__ds/subscriptions/1/s") {
          count++
          yield* append("events/a", count)
          yield* eventually(() => hooks.calls.at(-1)?.body.streams[0]?.tail_offset === offsetOf(count))
        }
        yield* settled
        assert.strictEqual((yield* logs).length, 1)
        assert.deepStrictEqual(yield* cursors("s"), { "events/a": count })
      })
    ))
})
