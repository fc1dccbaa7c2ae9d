/**
 * A server's subscriptions after it was stopped and started again: they know everything (docs/subscriptions.md 4).
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import type { StreamName } from "../../src/domain/types.ts"
import { jsonType } from "../../src/domain/types.ts"
import { emptyBlock } from "../../src/event/event-block.ts"
import { ActiveFactory } from "../../src/hooks/stream-factory.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { layerFileSystem } from "../../src/storage-filesystem/storage-filesystem.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import { Storage } from "../../src/storage/storage.ts"
import type { Subscription } from "../../src/subscriptions/machine/subscription.ts"
import { ack, claim } from "../../src/subscriptions/machine/transitions.ts"
import type { TransitionFailed } from "../../src/subscriptions/running/runner.ts"
import { Subscriptions } from "../../src/subscriptions/subscriptions.ts"
import { Keys } from "../../src/subscriptions/webhook/keys.ts"
import { temporaryDirectory } from "../support/served.ts"
import { append, begin, cursors, eventsOf, eventually, pullConfig, settled, StandIn, webhookConfig } from "./stage.ts"

type Play<A> = Effect.Effect<A, unknown, Subscriptions | StreamManager | Keys | Storage>

/** A storage that is opened for each life of the server. */
interface Ground {
  readonly hooks: StandIn
  readonly directory: string
  /** One life of the server. */
  readonly life: <A>(play: Play<A>) => Effect.Effect<A, unknown>
  /** Streams without the subscriptions that listen to them, as a crash leaves them. */
  readonly unheard: <A>(play: Effect.Effect<A, unknown, StreamManager>) => Effect.Effect<A, unknown>
}

const grounds: ReadonlyArray<readonly [kind: string, storage: (directory: string) => Layer.Layer<Storage, unknown>]> = [
  ["memory", () => layerMemory],
  ["files", (directory) => layerFileSystem({ directory: `${directory}/streams`, durability: "os" })]
]

const scoped = (
  kind: string,
  layer: (directory: string) => Layer.Layer<Storage, unknown>,
  test: (ground: Ground) => Effect.Effect<void, unknown>
) =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const hooks = new StandIn()
    // Memory lasts as long as the test; files are opened by each life.
    const kept = kind === "memory" ? yield* Layer.build(layer(directory)) : undefined
    const storage = Effect.suspend(() => kept === undefined ? Layer.build(layer(directory)) : Effect.succeed(kept))
    return yield* test({
      hooks,
      directory,
      life: (play) =>
        Effect.gen(function*() {
          const context = yield* storage
          const running = yield* begin(
            { storage: Context.get(context, Storage), keyDirectory: `${directory}/keys` },
            hooks.layer
          )
          return yield* Effect.provideContext(play, Context.merge(context, running))
        }).pipe(Effect.scoped),
      unheard: (play) =>
        Effect.gen(function*() {
          const context = yield* storage
          const manager = StreamManager.layer.pipe(
            Layer.provide(ActiveFactory),
            Layer.provide(Layer.succeed(Storage, Context.get(context, Storage)))
          )
          return yield* Effect.provideContext(play, yield* Layer.build(manager))
        }).pipe(Effect.scoped)
    })
  }).pipe(Effect.scoped)

const put = (id: string, config = webhookConfig({ pattern: "events/*" })) =>
  Effect.flatMap(Subscriptions, (subscriptions) => subscriptions.put(id, config, "hash", "http://127.0.0.1:1"))

const state = (id: string) => Effect.flatMap(Subscriptions, (subscriptions) => subscriptions.get(id))

/** Waits for this state, and returns it. */
const when = (
  id: string,
  isSo: (subscription: Subscription) => boolean
): Effect.Effect<Subscription, unknown, Subscriptions> =>
  Effect.filterOrElse(state(id), isSo, () => Effect.andThen(settled, when(id, isSo)))

const acked = (path: string, offset: number) => ({ links }: Subscription) => links.get(path)?.acked === offset

/** A log as another server may have left it. */
const logOf = (name: string, state: ReadonlyArray<readonly [string, string]>) =>
  Effect.gen(function*() {
    const storage = yield* Storage
    const description = {
      name: name as StreamName,
      contentType: jsonType,
      createdAt: "2026-01-01T00:00:00.000Z",
      id: "l"
    }
    yield* Effect.scoped(storage.create(description, { events: emptyBlock(0), state }))
  })

for (const [kind, layer] of grounds) {
  const test = (title: string, play: (ground: Ground) => Effect.Effect<void, unknown>) =>
    it.effect(title, () => scoped(kind, layer, play))

  describe(`after a restart, on ${kind}`, () => {
    test("a subscription still exists, with its cursors, and a request to make it confirms it", ({ hooks, life }) =>
      Effect.gen(function*() {
        hooks.answer = () => `{"done":true}`
        yield* life(Effect.gen(function*() {
          yield* put("s", webhookConfig({ pattern: "events/*", streams: ["b"], description: "d" }))
          yield* append("events/a", 1, 2)
          yield* append("b", 1)
          yield* when("s", acked("b", 1))
          yield* when("s", acked("events/a", 2))
        }))
        assert.isAtMost(hooks.calls.length, 2)
        const before = hooks.calls.length
        yield* life(Effect.gen(function*() {
          assert.deepStrictEqual(yield* cursors("s"), { b: 1, "events/a": 2 })
          const { made, subscription } = yield* put("s", webhookConfig({ pattern: "events/*", streams: ["b"] }))
          assert.isFalse(made)
          assert.strictEqual(subscription.config.description, "d")
          assert.strictEqual(subscription.generation, before)
          yield* settled
          assert.strictEqual(hooks.calls.length, before, "nothing new, nobody is woken")
          yield* append("events/a", 3)
          yield* eventually(() => hooks.calls.length === before + 1)
          assert.strictEqual(hooks.calls[before]!.body.generation, before + 1)
          yield* append("b", 2)
          yield* eventually(() => hooks.calls.length === before + 2)
        }))
      }))

    test("a deleted subscription is gone", ({ life }) =>
      Effect.gen(function*() {
        yield* life(
          Effect.andThen(put("s"), Effect.flatMap(Subscriptions, (subscriptions) => subscriptions.remove("s")))
        )
        yield* life(Effect.flip(state("s")))
      }))

    test("a retry keeps its schedule", ({ hooks, life }) =>
      Effect.gen(function*() {
        hooks.answer = () => undefined
        const next = yield* life(Effect.gen(function*() {
          yield* put("s")
          yield* append("events/a", 1)
          for (const count of [1, 2, 3, 4]) {
            yield* eventually(() => hooks.calls.length === count)
            const { retry } = yield* when("s", ({ retry }) => retry?.next !== undefined)
            if (count === 4) return retry
            yield* TestClock.setTime(retry!.next!)
          }
          return undefined
        }))
        assert.strictEqual(next?.count, 4)
        yield* life(Effect.gen(function*() {
          yield* settled
          assert.deepStrictEqual((yield* state("s")).retry, next)
          yield* TestClock.setTime(next!.next! - 1)
          yield* settled
          assert.strictEqual(hooks.calls.length, 4)
          yield* TestClock.setTime(next!.next!)
          yield* eventually(() => hooks.calls.length === 5)
          assert.strictEqual(hooks.calls[4]!.body.wake_id, hooks.calls[0]!.body.wake_id)
        }))
        // An overdue retry is due at once.
        yield* TestClock.adjust("1 hour")
        yield* life(eventually(() => hooks.calls.length === 6))
      }))

    test("a worker keeps its lease and its token, and loses them in time", ({ life }) =>
      Effect.gen(function*() {
        const token = yield* life(Effect.gen(function*() {
          yield* append("wake", 0)
          yield* put("s", pullConfig({ pattern: "events/*", leaseMillis: 10_000 }))
          yield* append("events/a", 1, 2)
          const subscriptions = yield* Subscriptions
          const claimed = yield* subscriptions.act("s", claim("me"))
          const keys = yield* Keys
          return { ...claimed, text: yield* keys.mint(claimed.subject, claimed.generation) }
        }))
        yield* TestClock.adjust("5 seconds")
        yield* life(Effect.gen(function*() {
          const subscriptions = yield* Subscriptions
          const busy = yield* Effect.flip(subscriptions.act("s", claim("you")))
          assert.deepInclude(busy, { code: "ALREADY_CLAIMED", current_holder: "me", generation: 1 })
          const tokenGeneration = yield* subscriptions.verify("s", token.text)
          const reference = { wakeId: token.wakeId, generation: 1, tokenGeneration }
          yield* subscriptions.act("s", ack("pull-wake", { ...reference, acks: [["events/a", 1]], done: false }))
        }))
        yield* TestClock.adjust("10 seconds")
        yield* life(Effect.gen(function*() {
          const subscriptions = yield* Subscriptions
          const claimed = yield* subscriptions.act("s", claim("you"))
          assert.strictEqual(claimed.generation, 2)
          assert.strictEqual(claimed.streams[0]!.link.acked, 1)
        }))
      }))

    test("a subscription finds the appends, new streams, deletions and new lives that it did not hear of", ({ hooks, life, unheard }) =>
      Effect.gen(function*() {
        hooks.answer = () => `{"done":true}`
        yield* life(Effect.gen(function*() {
          yield* put("s")
          for (const name of ["a", "b", "c"]) yield* append(`events/${name}`, 1, 2)
          for (const name of ["a", "b", "c"]) yield* when("s", acked(`events/${name}`, 2))
        }))
        hooks.answer = () => "{}"
        const before = hooks.calls.length
        yield* unheard(Effect.gen(function*() {
          const manager = yield* StreamManager
          yield* append("events/a", 3)
          yield* manager.delete("events/b" as StreamName)
          yield* manager.delete("events/c" as StreamName)
          yield* append("events/c", "anew")
          yield* append("events/d", 1)
        }))
        yield* life(Effect.gen(function*() {
          yield* eventually(() => hooks.calls.length === before + 1)
          const streams = hooks.calls[before]!.body.streams.map(({ acked_offset, path, tail_offset }) =>
            [path, acked_offset === "-1" ? 0 : Number(acked_offset), Number(tail_offset)] as const
          )
          assert.deepStrictEqual(streams.toSorted(), [["events/a", 2, 3], ["events/c", 0, 1], ["events/d", 0, 1]])
        }))
      }))

    test("a log that cannot be read is reported as unreadable, until it is deleted", ({ life }) =>
      Effect.gen(function*() {
        const codes = Effect.gen(function*() {
          const subscriptions = yield* Subscriptions
          const asked: ReadonlyArray<Effect.Effect<unknown, TransitionFailed, Subscriptions>> = [
            subscriptions.get("bad"),
            put("bad"),
            subscriptions.act("bad", claim("me"))
          ]
          return yield* Effect.forEach(asked, (asking) => Effect.map(Effect.flip(asking), ({ _tag }) => _tag))
        })
        yield* life(Effect.gen(function*() {
          yield* put("good")
          yield* logOf("__ds/subscriptions/0/bad", [["config", "{}"]])
        }))
        yield* life(Effect.gen(function*() {
          assert.deepStrictEqual(yield* codes, ["StorageFailed", "StorageFailed", "StorageFailed"])
          yield* state("good")
          const subscriptions = yield* Subscriptions
          yield* subscriptions.remove("bad")
          assert.isTrue((yield* put("bad")).made)
        }))
      }))

    test("of two logs the newer one counts, and the older one is removed", ({ life }) =>
      Effect.gen(function*() {
        yield* life(Effect.gen(function*() {
          yield* put("s", webhookConfig({ streams: ["a"] }))
          const storage = yield* Storage
          const { state } = yield* Effect.scoped(storage.open("__ds/subscriptions/0/s" as StreamName))
          const entries = new Map(state)
          entries.set("link:b", entries.get("link:a")!)
          for (const number of [2, 10]) yield* logOf(`__ds/subscriptions/${number}/s`, [...entries])
          yield* logOf("__ds/subscriptions/9/s", [...state])
        }))
        yield* life(Effect.gen(function*() {
          assert.deepStrictEqual(yield* cursors("s"), { a: 0, b: 0 })
          const storage = yield* Storage
          const names = (yield* storage.list()).filter((name) => name.startsWith("__ds/"))
          assert.deepStrictEqual(names, ["__ds/subscriptions/10/s"])
        }))
      }))

    test("a wake that was not told is told, and a wake event is not written twice", ({ hooks, life, unheard }) =>
      Effect.gen(function*() {
        hooks.answer = () => undefined
        yield* life(Effect.gen(function*() {
          yield* append("wake", 0)
          yield* put("pull", pullConfig({ pattern: "events/*" }))
          yield* append("events/a", 1)
          yield* when("pull", ({ wake }) => wake !== undefined)
        }))
        yield* life(when("pull", ({ wake }) => wake?.delivered === true))
        // The event is appended again, and the stream recognises it.
        yield* life(Effect.andThen(state("pull"), settled))
        const events = yield* unheard(eventsOf("wake"))
        assert.strictEqual(events.length, 2)
      }))
  })
}

describe("the keys", () => {
  it.effect("are the same after a restart, and only their owner can read them", () =>
    scoped("files", grounds[1]![1], ({ directory, life }) =>
      Effect.gen(function*() {
        const used = Effect.gen(function*() {
          const keys = yield* Keys
          return { kid: (yield* keys.publicKey).kid, token: yield* keys.mint("a", 7) }
        })
        const first = yield* life(used)
        const second = yield* life(Effect.gen(function*() {
          const keys = yield* Keys
          assert.strictEqual(yield* keys.verify(first.token, "a"), 7)
          return yield* used
        }))
        assert.strictEqual(first.kid, second.kid)
        const files = fs.readdirSync(`${directory}/keys`)
        assert.deepStrictEqual(files.toSorted(), ["callback-tokens.jwk", "webhook-signing.jwk"])
        assert.strictEqual(fs.statSync(`${directory}/keys`).mode & 0o777, 0o700)
        for (const file of files) assert.strictEqual(fs.statSync(`${directory}/keys/${file}`).mode & 0o777, 0o600)
      })))
})
