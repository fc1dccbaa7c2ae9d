/**
 * Subscriptions on a disk that is full for a while: a wake is told when there is room again, whichever commit failed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { StorageFull } from "../../src/domain/errors.ts"
import type { Log } from "../../src/storage/storage.ts"
import { Storage } from "../../src/storage/storage.ts"
import type { Config } from "../../src/subscriptions/machine/subscription.ts"
import { ack, claim } from "../../src/subscriptions/machine/transitions.ts"
import { Subscriptions } from "../../src/subscriptions/subscriptions.ts"
import { tried } from "../support/properties.ts"
import { temporaryDirectory } from "../support/served.ts"
import { append, begin, eventsOf, memoryStorage, pullConfig, settled, StandIn, webhookConfig } from "./stage.ts"

/** A disk that a test fills. */
class FullDisk {
  /** Whether the next commit to this log fails. */
  isFull: (name: string) => boolean = () => false
  /** Runs after each commit that succeeds. */
  committed: (name: string) => void = () => {}

  readonly storage = Effect.map(memoryStorage, (storage): Storage["Service"] => {
    const guarded = (log: Log): Log => {
      const { name } = log.description
      return {
        ...log,
        commit: (commit) =>
          Effect.suspend(() =>
            this.isFull(name)
              ? Effect.fail(new StorageFull({ message: "no room" }))
              : Effect.tap(log.commit(commit), () => Effect.sync(() => this.committed(name)))
          )
      }
    }
    return Storage.of({
      ...storage,
      open: (name) => Effect.map(storage.open(name), guarded),
      create: (...given) => Effect.map(storage.create(...given), guarded)
    })
  })
}

const staged = <A, E>(
  play: (
    hooks: StandIn,
    disk: FullDisk
  ) => Effect.Effect<A, E, Effect.Services<ReturnType<typeof append>> | Subscriptions>
) =>
  Effect.gen(function*() {
    const hooks = new StandIn()
    const disk = new FullDisk()
    const storage = yield* disk.storage
    const context = yield* begin({ storage, keyDirectory: `${yield* temporaryDirectory}/keys` }, hooks.layer)
    return yield* Effect.provideContext(play(hooks, disk), context)
  }).pipe(Effect.scoped)

const put = (config: Config) =>
  Effect.flatMap(Subscriptions, (subscriptions) => subscriptions.put("s", config, "hash", "http://127.0.0.1:1"))

const isOwn = (name: string) => name.startsWith("__ds/")

const wakes = (events: ReadonlyArray<unknown>) =>
  events.filter((event): event is { readonly type: "wake"; readonly generation: number } =>
    (event as { readonly type?: unknown }).type === "wake"
  )

/** Lets a minute pass, with all the work that is due in it. */
const minute = Effect.gen(function*() {
  for (let second = 0; second < 60; second += 5) {
    yield* TestClock.adjust("5 seconds")
    yield* settled
  }
})

describe("Promise 10: a wake on a full disk", () => {
  for (const [during, seconds] of [["seconds", 3], ["hours", 10_000]] as const) {
    it.effect(`is told within a minute after there is room, even if its note failed, too: full for ${during}`, () =>
      staged((_, disk) =>
        Effect.gen(function*() {
          yield* append("wake", "first")
          yield* append("a", 0)
          yield* put(pullConfig({ streams: ["a"] }))
          yield* settled
          let full = false
          // The disk is full from right after the commit that makes the wake.
          disk.committed = (name) => void (full ||= isOwn(name))
          disk.isFull = () => full
          yield* append("a", 1)
          yield* settled
          assert.isTrue(full)
          yield* TestClock.adjust(`${seconds} seconds`)
          yield* settled
          disk.isFull = () => false
          yield* minute
          yield* minute
          assert.strictEqual(wakes(yield* eventsOf("wake")).length, 1)
        })
      ))
  }

  it.effect("whose webhook is done while no note can be written is not called again, and its cursor moves when there is room", () =>
    staged((hooks, disk) =>
      Effect.gen(function*() {
        yield* append("a", 0)
        yield* put(webhookConfig({ streams: ["a"], leaseMillis: 600_000 }))
        yield* settled
        hooks.answer = () => {
          disk.isFull = () => true
          return `{"done":true}`
        }
        yield* append("a", 1)
        yield* settled
        assert.strictEqual(hooks.calls.length, 1)
        yield* minute
        disk.isFull = () => false
        yield* minute
        const { links, wake } = yield* Effect.flatMap(Subscriptions, (subscriptions) => subscriptions.get("s"))
        assert.deepStrictEqual([links.get("a")?.acked, wake], [2, undefined])
        assert.strictEqual(hooks.calls.length, 1)
      })
    ))

  it.effect("is told again if the attempt to tell it ended in an unforeseen way", () =>
    staged((hooks) =>
      Effect.gen(function*() {
        hooks.answer = () => {
          if (hooks.calls.length === 1) throw new TypeError("a mistake of ours")
          return `{"done":true}`
        }
        yield* append("a", 0)
        yield* put(webhookConfig({ streams: ["a"], leaseMillis: 600_000 }))
        yield* append("a", 1)
        yield* minute
        assert.strictEqual(hooks.calls.length, 2)
      })
    ))

  const Op = Schema.Literals([
    "append",
    "append",
    "wait",
    "wait",
    "claim",
    "full",
    "full for notes",
    "room",
    "hook fails"
  ])
  for (
    const config of [
      pullConfig({ streams: ["a"], leaseMillis: 5_000 }),
      webhookConfig({ streams: ["a"], leaseMillis: 5_000 })
    ]
  ) {
    it.effect.prop(
      `of a ${config.type} subscription is told in the end, whichever commits failed`,
      [Schema.Array(Schema.Struct({ op: Op, n: Schema.Literals([1, 2, 3, 7, 70]) })).check(Schema.isMaxLength(30))],
      ([history]) =>
        staged((hooks, disk) =>
          Effect.gen(function*() {
            const subscriptions = yield* Subscriptions
            let answers = true
            hooks.answer = () => answers ? "{}" : undefined
            yield* append("wake", "first")
            yield* append("a", 0)
            yield* put(config)
            for (const { n, op } of history) {
              answers = true
              if (op === "append") yield* Effect.exit(append("a", n))
              if (op === "wait") yield* TestClock.adjust(`${n} seconds`)
              if (op === "claim") yield* Effect.exit(subscriptions.act("s", claim("me")))
              if (op === "room") disk.isFull = () => false
              if (op === "hook fails") answers = false
              if (op === "full for notes") disk.isFull = isOwn
              if (op === "full") {
                // The next n - 1 commits find room.
                let left = n
                disk.isFull = () => --left <= 0
              }
              yield* settled
            }
            answers = true
            disk.isFull = () => false
            yield* append("a", "last")
            yield* minute
            yield* minute
            const { lease, wake } = yield* subscriptions.get("s")
            assert.isDefined(wake, "there is something to read")
            assert.isTrue(wake!.delivered || lease?.holder !== undefined)
            const { generation } = yield* subscriptions.get("s")
            if (config.type === "webhook") assert.strictEqual(hooks.calls.at(-1)!.body.generation, generation)
            else if (lease === undefined) {
              assert.strictEqual(wakes(yield* eventsOf("wake")).at(-1)!.generation, generation)
            }
            // The worker can do its work.
            if (config.type === "webhook") {
              const reference = { wakeId: wake!.id, generation, tokenGeneration: generation }
              yield* subscriptions.act("s", ack("webhook", { ...reference, acks: [], done: true }))
            } else if (lease === undefined) {
              yield* subscriptions.act("s", claim("me"))
            }
          })
        ),
      tried(30, 30)
    )
  }
})
