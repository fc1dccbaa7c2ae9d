/**
 * Subscriptions that have acknowledged more of a stream than it holds: a backup was restored, or the last seconds were
 * lost. They report that, and are told of the next appends.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { StorageFailed } from "../../src/domain/errors.ts"
import type { StreamName } from "../../src/domain/types.ts"
import { emptyBlock, sliceBlock } from "../../src/event/event-block.ts"
import { Storage } from "../../src/storage/storage.ts"
import { ack, claim } from "../../src/subscriptions/machine/transitions.ts"
import { Subscriptions } from "../../src/subscriptions/subscriptions.ts"
import { temporaryDirectory } from "../support/served.ts"
import {
  append,
  begin,
  cursors,
  eventsOf,
  memoryStorage,
  pullConfig,
  settled,
  StandIn,
  webhookConfig
} from "./stage.ts"

const put = (config = webhookConfig({ pattern: "events/*", streams: ["named"] })) =>
  Effect.flatMap(Subscriptions, (subscriptions) => subscriptions.put("s", config, "hash", "http://127.0.0.1:1"))

/** Lives of a server over one storage, and the messages that it logs. */
const ground = Effect.gen(function*() {
  const hooks = new StandIn()
  hooks.answer = () => `{"done":true}`
  const lines: Array<string> = []
  const kept = yield* memoryStorage
  const ground = { storage: kept, keyDirectory: `${yield* temporaryDirectory}/keys` }
  const life = <A, E>(
    play: Effect.Effect<A, E, Effect.Services<ReturnType<typeof append>> | Subscriptions>,
    storage = kept
  ) =>
    Effect.flatMap(begin({ ...ground, storage }, hooks.layer), (context) => Effect.provideContext(play, context)).pipe(
      Effect.scoped,
      Effect.provide(Logger.layer([Logger.make(({ message }) => lines.push(String(message)))]))
    )
  /** Replaces the stream by a copy that has only its first events, and perhaps another id. */
  const restore = (name: string, count: number, id?: string) =>
    Effect.gen(function*() {
      const { description, read } = yield* kept.open(name as StreamName)
      const events = sliceBlock(yield* read(0, 1_000_000), 0, count)
      yield* kept.delete(name as StreamName)
      yield* kept.create({ ...description, id: id ?? description.id }, { events, state: [] })
    }).pipe(Effect.scoped)
  return { hooks, lines, life, restore, kept }
})

const acked = (path: string, offset: number): Effect.Effect<void, unknown, Subscriptions> =>
  Effect.flatMap(
    cursors("s"),
    (all) => all[path] === offset ? Effect.void : Effect.andThen(settled, acked(path, offset))
  )

describe("Promise 10: a subscription that is ahead of its stream", () => {
  const kinds = [["by its pattern", "events/a"], ["by its name", "named"]] as const
  for (const [how, path] of kinds) {
    it.effect(`which it reads ${how}, reports that and is told of the next events`, () =>
      Effect.gen(function*() {
        const { hooks, life, lines, restore } = yield* ground
        yield* life(Effect.gen(function*() {
          yield* put()
          yield* append(path, 1, 2, 3, 4, 5)
          yield* acked(path, 5)
        }))
        yield* restore(path, 2)
        const before = hooks.calls.length
        yield* life(Effect.gen(function*() {
          yield* settled
          assert.strictEqual((yield* cursors("s"))[path], 2)
          assert.isTrue(lines.some((line) => line.includes("A stream has less than a subscription has processed")))
          yield* append(path, "new")
          yield* settled
          assert.strictEqual(hooks.calls.length, before + 1)
          const shown = hooks.calls[before]!.body.streams.find((stream) => stream.path === path)!
          assert.deepInclude(shown, { acked_offset: "0000000000000002", tail_offset: "0000000000000003" })
        }))
      }).pipe(Effect.scoped))

    it.effect(`which it reads ${how}, and which is another stream now, reports that and begins with its first event`, () =>
      Effect.gen(function*() {
        const { hooks, life, lines, restore } = yield* ground
        yield* life(Effect.gen(function*() {
          yield* put()
          yield* append(path, 1, 2, 3, 4, 5)
          yield* acked(path, 5)
        }))
        yield* restore(path, 2, "another")
        const before = hooks.calls.length
        yield* life(Effect.gen(function*() {
          yield* settled
          assert.isTrue(lines.some((line) => line.includes("is another one than before")))
          assert.strictEqual(hooks.calls.length, before + 1)
          const shown = hooks.calls[before]!.body.streams.find((stream) => stream.path === path)!
          assert.deepInclude(shown, { acked_offset: "-1", tail_offset: "0000000000000002" })
        }))
      }).pipe(Effect.scoped))
  }

  it.effect("refuses the acknowledgement of a worker that was shown more events", () =>
    Effect.gen(function*() {
      const { life, restore } = yield* ground
      const { generation, wakeId } = yield* life(Effect.gen(function*() {
        yield* append("wake", 0)
        yield* append("events/a", 0)
        yield* put(pullConfig({ pattern: "events/*", leaseMillis: 600_000 }))
        yield* append("events/a", 1, 2, 3)
        const subscriptions = yield* Subscriptions
        const claimed = yield* subscriptions.act("s", claim("me"))
        const reference = { ...claimed, tokenGeneration: claimed.generation }
        yield* subscriptions.act("s", ack("pull-wake", { ...reference, acks: [["events/a", 3]], done: false }))
        return claimed
      }))
      yield* restore("events/a", 1)
      yield* life(Effect.gen(function*() {
        yield* settled
        // The worker was shown events with these offsets, too.
        yield* append("events/a", "new", "new", "new")
        const subscriptions = yield* Subscriptions
        const request = {
          wakeId,
          generation,
          tokenGeneration: generation,
          acks: [["events/a", 4]] as const,
          done: true
        }
        const refusal = yield* Effect.flip(subscriptions.act("s", ack("pull-wake", request)))
        assert.deepInclude(refusal, { code: "INVALID_OFFSET" })
        assert.strictEqual((yield* cursors("s"))["events/a"], 1)
        assert.isTrue(yield* subscriptions.act("s", ack("pull-wake", { ...request, acks: [] })))
      }))
    }).pipe(Effect.scoped))

  it.effect("reports when its stream is gone", () =>
    Effect.gen(function*() {
      const { kept, life, lines } = yield* ground
      yield* life(Effect.gen(function*() {
        yield* put()
        yield* append("named", 1, 2)
        yield* acked("named", 2)
      }))
      yield* kept.delete("named" as StreamName)
      yield* life(Effect.gen(function*() {
        yield* settled
        assert.isTrue(lines.some((line) => line.includes("is not there any more")))
        assert.deepStrictEqual(yield* cursors("s"), { named: 0 })
      }))
    }).pipe(Effect.scoped))
})

describe("Promise 10: a subscription that is behind its wake stream", () => {
  for (const lost of [1, 2]) {
    it.effect(`by ${lost} tells the next wake all the same`, () =>
      Effect.gen(function*() {
        const { kept, life } = yield* ground
        const name = "__ds/subscriptions/0/s" as StreamName
        const stateNow = Effect.scoped(
          Effect.map(kept.open(name), ({ description, state }) => ({ description, state: [...state] }))
        )
        const work = Effect.gen(function*() {
          yield* append("events/a", 1)
          yield* settled
          const subscriptions = yield* Subscriptions
          const claimed = yield* subscriptions.act("s", claim("me"))
          const acks = claimed.streams.map(({ link, path }) => [path, link.tail] as const)
          const request = { ...claimed, tokenGeneration: claimed.generation, acks, done: true }
          yield* subscriptions.act("s", ack("pull-wake", request))
        })
        const backup = yield* life(Effect.gen(function*() {
          yield* append("wake", 0)
          yield* put(pullConfig({ pattern: "events/*" }))
          yield* work
          const backup = yield* stateNow
          for (let i = 0; i < lost; i++) yield* work
          return backup
        }))
        yield* kept.delete(name)
        yield* Effect.scoped(kept.create(backup.description, { events: emptyBlock(0), state: backup.state }))
        yield* life(Effect.gen(function*() {
          yield* settled
          const events = (yield* eventsOf("wake")) as ReadonlyArray<unknown> as ReadonlyArray<{ generation?: number }>
          assert.deepStrictEqual(
            events.map(({ generation }) => generation ?? 0),
            Array.from({ length: lost + 3 }, (_, i) => i)
          )
          const subscriptions = yield* Subscriptions
          assert.strictEqual((yield* subscriptions.act("s", claim("me"))).generation, lost + 2)
        }))
      }).pipe(Effect.scoped))
  }
})

describe("Promise 10: after a start on a disk that does not answer yet", () => {
  for (const what of ["the streams cannot be listed", "a stream cannot be opened"] as const) {
    it.effect(`because ${what}, a subscription is told of the missed events as soon as the disk answers`, () =>
      Effect.gen(function*() {
        const { hooks, kept, life, restore } = yield* ground
        yield* life(Effect.gen(function*() {
          yield* put(webhookConfig({ pattern: "events/*" }))
          yield* append("events/a", 1, 2)
          yield* acked("events/a", 2)
          yield* append("events/b", 1, 2, 3)
          yield* acked("events/b", 3)
        }))
        // The subscription does not hear of this, as after a crash.
        yield* restore("events/b", 3, "another")
        let fails = true
        const failed = new StorageFailed({ message: "the disk does not answer" })
        const storage = Storage.of({
          ...kept,
          list: (wanted) =>
            Effect.suspend(() => fails && what.includes("listed") ? Effect.fail(failed) : kept.list(wanted)),
          open: (name) =>
            Effect.suspend(() =>
              fails && what.includes("opened") && name === "events/b" ? Effect.fail(failed) : kept.open(name)
            )
        })
        const before = hooks.calls.length
        yield* life(
          Effect.gen(function*() {
            yield* settled
            assert.strictEqual(hooks.calls.length, before)
            yield* TestClock.adjust("10 minutes")
            yield* settled
            assert.strictEqual(hooks.calls.length, before)
            fails = false
            yield* TestClock.adjust("1 minute")
            yield* settled
            assert.strictEqual(hooks.calls.length, before + 1)
          }),
          storage
        )
      }).pipe(Effect.scoped))
  }
})
