/**
 * The machine of a subscription under random histories: streams grow, are deleted and made again; workers come, keep
 * working after their lease, and acknowledge any event; deliveries fail; commits fail; the server is started anew.
 */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import type { StreamName } from "../../src/domain/types.ts"
import { applyState } from "../../src/storage/storage.ts"
import type { Config, Link, Subscription } from "../../src/subscriptions/machine/subscription.ts"
import { apply, deadline, isPending, newSubscription } from "../../src/subscriptions/machine/subscription.ts"
import {
  ack,
  type AckRequest,
  claim,
  linkExplicitly,
  release,
  unlink
} from "../../src/subscriptions/machine/transitions.ts"
import {
  type Act,
  advance,
  mergeNews,
  type News,
  onlyNews,
  recordDelivery,
  recordFailure
} from "../../src/subscriptions/machine/wake-cycle.ts"
import { configEntries, fromState, toStateChanges } from "../../src/subscriptions/running/state-codec.ts"
import { tried } from "../support/properties.ts"
import { pullConfig, webhookConfig } from "./stage.ts"

const paths = ["events/a", "events/b", "other"]
const matches = (path: string) => path.startsWith("events/")

const Op = Schema.Struct({
  op: Schema.Literals([
    ...["append", "append", "delete", "claim", "claim", "ack", "ack", "ack", "release", "wait"] as const,
    ...["delivered", "done", "failed", "link", "unlink", "restart", "disk fails"] as const
  ]),
  path: Schema.Literals(paths),
  /** Each command uses these as it needs: a number, a duration, an age. */
  n: Schema.Literals([0, 1, 2, 3, 40])
})
type Op = typeof Op.Type

const description = {
  name: "__ds/subscriptions/0/s" as StreamName,
  contentType: "application/json",
  createdAt: "2026-01-01T00:00:00.000Z",
  id: "l"
}

const withoutTail = (links: ReadonlyMap<string, Link>) => [...links].map(([path, { tail: _, ...link }]) => [path, link])

/** The world around one subscription. */
class World {
  state: Subscription
  readonly stored = new Map<string, string>()
  readonly streams = new Map<string, { readonly life: string; tail: number }>()
  readonly #news = new Map<string, News>()
  /** All wakes so far, for workers that come late. */
  readonly wakes: Array<{ readonly wakeId: string; readonly generation: number }> = []
  readonly seen = new Set<string>()
  /** The wake that is being told: a webhook that has not answered yet, or a wake event that is not written yet. */
  telling: { readonly wakeId: string; readonly tails: ReadonlyMap<string, number> } | undefined
  now = 1_000_000
  #count = 0
  /** Results of deliveries that no commit holds yet. */
  #results: Array<Act<void>> = []
  #diskFails = false
  #started = false

  constructor(config: Config) {
    this.state = newSubscription("s", "l", "2026-01-01T00:00:00.000Z", config)
    applyState(this.stored, [...configEntries(config, "h", "http://base"), ...toStateChanges(this.state, new Map())])
  }

  step<A>(act: Act<A>, linking?: string): Result.Result<A, { readonly code: string }> {
    const before = this.state
    const acked = new Map([...before.links].map(([path, link]) => [path, link]))
    const moment = { now: this.now, wakeId: `w${this.#count++}`, chance: (this.#count % 11) / 10 }
    const prepare = linking === undefined
      ? undefined
      : linkExplicitly(new Map([[linking, this.#look(linking)]]), matches)
    const { changes, outcome } = advance(before, moment, matches, this.#news, act, {
      prepare,
      results: this.#results,
      isFirst: this.#started
    })
    if (this.#diskFails) {
      this.#diskFails = false
      return Result.fail({ code: "DISK" })
    }
    this.#news.clear()
    this.#results = []
    this.#started = false
    applyState(this.stored, toStateChanges(changes, this.stored))
    this.state = apply(before, changes)
    if (changes.deliver && changes.wake !== undefined) {
      const tails = new Map([...this.state.links].map(([path, link]) => [path, link.tail]))
      this.telling = { wakeId: changes.wake.id, tails }
    }
    this.#check(before, acked)
    return outcome
  }

  run({ n, op, path }: Op): void {
    const current = { wakeId: this.state.wake?.id ?? "none", generation: this.state.generation }
    // Now and then a worker of an older wake.
    const meant = n === 2 ? this.wakes.at(-2) ?? current : current
    const reference = { ...meant, tokenGeneration: n === 40 ? meant.generation - 1 : meant.generation }
    switch (op) {
      case "append": {
        const stream = this.streams.get(path) ?? { life: `life${this.#count++}`, tail: 0 }
        stream.tail += n
        this.streams.set(path, stream)
        this.#tell(path, this.#look(path))
        return void this.step(onlyNews)
      }
      case "delete": {
        const life = this.streams.get(path)?.life
        if (life === undefined) return
        this.streams.delete(path)
        this.#tell(path, { life, exists: false, begin: 0, tail: 0 })
        return n === 0 ? undefined : void this.step(onlyNews)
      }
      case "claim":
        return void this.step(claim(`worker ${n}`))
      case "ack": {
        const acks: AckRequest["acks"] = n === 0 ? [] : [[path, (this.state.links.get(path)?.acked ?? 0) + n - 1]]
        return this.#fenced(reference, ack(this.state.config.type, { ...reference, acks, done: n !== 3 }))
      }
      case "release":
        return this.#fenced(reference, release(reference))
      case "wait":
        this.now += n * 1_000
        return void this.step(onlyNews)
      case "delivered":
      case "done": {
        if (this.telling === undefined) return
        const { tails, wakeId } = this.telling
        this.telling = undefined
        this.#results.push(
          recordDelivery(wakeId, op === "done" && this.state.config.type === "webhook" ? tails : undefined)
        )
        return void this.step(onlyNews)
      }
      case "failed": {
        if (this.telling === undefined) return
        const { wakeId } = this.telling
        this.telling = undefined
        this.#results.push(recordFailure(wakeId))
        return void this.step(onlyNews)
      }
      case "link":
        return void this.step(onlyNews, path)
      case "unlink":
        return void this.step(unlink(path))
      case "disk fails":
        this.#diskFails = true
        this.run({ op: n < 2 ? "append" : n === 2 ? "claim" : n === 3 ? "delivered" : "failed", path, n: 1 })
        this.#diskFails = false
        return
      case "restart":
        return this.#restart()
    }
  }

  /** All state that is only in memory is gone. */
  #restart(): void {
    const read = Result.getOrThrow(fromState("s", description, this.stored))
    const { links: _, pending: __, ...kept } = this.state
    const { links, pending: ___, ...found } = read
    assert.deepStrictEqual(found, kept)
    assert.deepStrictEqual(withoutTail(links), withoutTail(this.state.links))
    this.state = read
    this.telling = undefined
    this.#results = []
    this.#started = true
    this.#news.clear()
    for (const path of paths) if (links.has(path) || matches(path)) this.#news.set(path, this.#look(path))
    this.step(onlyNews)
  }

  #tell(path: string, news: News): void {
    this.#news.set(path, mergeNews(this.#news.get(path), news))
  }

  #look(path: string): News {
    const stream = this.streams.get(path)
    return stream === undefined
      ? { life: undefined, exists: false, begin: 0, tail: 0 }
      : { life: stream.life, exists: true, begin: 0, tail: stream.tail }
  }

  /** A request of a wake that is over, or with a token of another one, is refused and moves nothing. */
  #fenced(reference: AckRequest | { wakeId: string; generation: number; tokenGeneration: number }, act: Act<unknown>) {
    this.step(onlyNews)
    const { generation, links, wake } = this.state
    const acked = [...links].map(([path, link]) => [path, link.acked])
    const stale = reference.wakeId !== wake?.id || reference.generation !== generation ||
      reference.tokenGeneration !== generation
    const outcome = this.step(act)
    if (!stale || outcome._tag === "Failure" && outcome.failure.code === "INVALID_REQUEST") return
    assert.strictEqual(outcome._tag === "Failure" ? outcome.failure.code : "done", "FENCED")
    assert.deepStrictEqual([...this.state.links].map(([path, link]) => [path, link.acked]), acked)
  }

  #check(before: Subscription, ackedBefore: ReadonlyMap<string, Link>): void {
    const { config, generation, lease, links, pending, retry, wake } = this.state
    for (const [path, link] of links) {
      const older = ackedBefore.get(path)
      assert.isAtMost(link.acked, link.tail, "nobody acknowledges what there is not")
      if (older?.life !== undefined && older.life === link.life) {
        assert.isAtLeast(link.acked, older.acked, "a cursor never goes back")
      } else if (older?.life !== undefined) {
        assert.strictEqual(link.acked, 0, "a stream that is made again is read from its beginning")
      }
      assert.strictEqual(link.life, this.streams.get(path)?.life)
      assert.strictEqual(link.tail, this.streams.get(path)?.tail ?? 0)
    }
    assert.deepStrictEqual(
      [...pending].toSorted(),
      [...links].filter(([, link]) => isPending(link)).map(([path]) => path).toSorted()
    )
    assert.isAtLeast(generation, before.generation)
    if (wake !== undefined && wake.id !== before.wake?.id) {
      assert.isAbove(generation, before.generation, "every wake has a greater generation")
      assert.isFalse(this.seen.has(wake.id), "no wake comes back")
      this.seen.add(wake.id)
      this.wakes.push({ wakeId: wake.id, generation })
    }
    if (pending.size > 0) assert.isDefined(wake, "pending work is always followed by a wake")
    else assert.isTrue(wake === undefined || lease !== undefined, "without work, only who works already goes on")
    if (wake === undefined) {
      assert.deepStrictEqual([lease, retry], [undefined, undefined], "who holds nothing has nothing to try again")
    } else if (config.type === "webhook") {
      assert.isDefined(deadline(this.state), "a webhook's wake ends some time, whatever happens")
    } else if (!wake.delivered) {
      assert.isTrue(retry?.next !== undefined || this.telling?.wakeId === wake.id, "workers are told some time")
    }
    const next = deadline(this.state)
    if (next !== undefined) assert.isAbove(next, this.now, "nothing is overdue")
  }
}

describe("whatever happens", () => {
  const history = Schema.Array(Op).check(Schema.isMaxLength(60))
  for (
    const config of [webhookConfig({ pattern: "events/*", leaseMillis: 5_000 }), pullConfig({ pattern: "events/*" })]
  ) {
    it.prop(
      `to a ${config.type} subscription, cursors never go back, stale tokens move nothing, pending work is woken`,
      [history],
      ([history]) => {
        const world = new World(config)
        for (const op of history) world.run(op)
      },
      tried(1_500, 60)
    )

    it(`to a ${config.type} subscription, it forgets a stream that came and went twice while the disk failed`, () => {
      const world = new World(config)
      const path = "events/b"
      world.run({ op: "append", path, n: 40 })
      world.run({ op: "delete", path, n: 0 })
      world.run({ op: "disk fails", path, n: 0 })
      world.run({ op: "delete", path, n: 40 })
      assert.strictEqual(world.state.links.size, 0)
    })
  }
})
