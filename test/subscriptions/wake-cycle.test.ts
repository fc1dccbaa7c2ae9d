/**
 * The rules of a wake, one by one.
 */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { fixedLimits } from "../../src/domain/limits.ts"
import type { Config, Subscription } from "../../src/subscriptions/machine/subscription.ts"
import { apply, newSubscription } from "../../src/subscriptions/machine/subscription.ts"
import {
  ack,
  claim,
  linkByGlob,
  linkExplicitly,
  listShown,
  release,
  shownMax,
  unlink
} from "../../src/subscriptions/machine/transitions.ts"
import type { Act, News, Prepare } from "../../src/subscriptions/machine/wake-cycle.ts"
import {
  advance,
  onlyNews,
  recordDelivery,
  recordFailure,
  retryMillisMax
} from "../../src/subscriptions/machine/wake-cycle.ts"
import { pullConfig, webhookConfig } from "./stage.ts"

/** One subscription, step by step; wakes are w1, w2, … */
const actor = (config: Config) => {
  let state: Subscription = newSubscription("s", "l", "", config)
  let wakes = 0
  const self = {
    now: 0,
    chance: 0.5,
    told: [] as Array<string>,
    left: [] as Array<string>,
    get state() {
      return state
    },
    step<A>(act: Act<A>, news: Record<string, News> = {}, prepare?: Prepare): A | string {
      const moment = { now: self.now, wakeId: `w${wakes + 1}`, chance: self.chance }
      const { changes, outcome } = advance(
        state,
        moment,
        (path) => path !== config.wakeStream,
        new Map(Object.entries(news)),
        act,
        { prepare }
      )
      if (changes.wake?.id === moment.wakeId) wakes++
      if (changes.deliver) self.told.push(changes.wake!.id)
      self.left.push(...changes.refused)
      state = apply(state, changes)
      return Result.match(outcome, { onFailure: ({ code }) => code, onSuccess: (value) => value })
    }
  }
  return self
}

const tail = (tail: number, life = "one", begin = 0): News => ({ life, exists: true, begin, tail })
const gone: News = { life: "one", exists: false, begin: 0, tail: 0 }
const wake = (number: number) => ({ wakeId: `w${number}`, generation: number, tokenGeneration: number })

describe("a webhook's wake", () => {
  it("that fails is tried again after 1, 2, 4 … 60 seconds, a fifth more or less", () => {
    for (const chance of [0, 0.5, 1]) {
      const one = actor(webhookConfig({}))
      one.chance = chance
      one.step(onlyNews, { a: tail(1) })
      const delays = Array.from({ length: 9 }, () => {
        one.step(recordFailure("w1"))
        const { next = NaN } = one.state.retry!
        const delay = next - one.now
        one.now = next
        one.step(onlyNews)
        return delay
      })
      const exact = [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000)
      const factor = 1 + 0.4 * (chance - 0.5)
      assert.deepStrictEqual(delays, exact.map((delay) => Math.min(retryMillisMax, Math.round(delay * factor))))
      assert.strictEqual(one.state.generation, 1, "it is the same wake")
      assert.deepStrictEqual(new Set(one.told), new Set(["w1"]))
      assert.strictEqual(one.told.length, 10)
    }
  })

  it("whose endpoint does not answer before the lease ends is followed by another, but not at once", () => {
    const one = actor(webhookConfig({ leaseMillis: 1_000 }))
    one.step(onlyNews, { a: tail(1) })
    one.now = 1_000
    one.step(onlyNews)
    assert.deepStrictEqual([one.state.wake?.id, one.state.generation, one.told], ["w2", 2, ["w1"]])
    assert.deepStrictEqual(one.state.retry, { count: 1, next: 2_000 })
    one.now = 2_000
    one.step(onlyNews)
    assert.deepStrictEqual(one.told, ["w1", "w2"])
  })

  it("that was answered and then never acknowledged is followed by another when the lease ends", () => {
    const one = actor(webhookConfig({ leaseMillis: 1_000 }))
    one.step(onlyNews, { a: tail(1) })
    one.step(recordDelivery("w1", undefined))
    one.now = 999
    one.step(onlyNews)
    assert.deepStrictEqual(one.told, ["w1"])
    one.now = 1_000
    assert.strictEqual(one.step(ack("webhook", { ...wake(1), acks: [["a", 1]], done: true })), "FENCED")
    assert.deepStrictEqual(one.told, ["w1", "w2"])
  })

  it("is kept by callbacks, each for another lease", () => {
    const one = actor(webhookConfig({ leaseMillis: 1_000 }))
    one.step(onlyNews, { a: tail(2) })
    one.now = 900
    assert.isFalse(one.step(ack("webhook", { ...wake(1), acks: [["a", 1]], done: false })))
    one.now = 1_800
    assert.isTrue(one.step(ack("webhook", { ...wake(1), acks: [], done: true })), "a 1 is left")
    assert.strictEqual(one.state.links.get("a")?.acked, 1)
  })

  it("whose failure is reported late disturbs neither a worker who called back nor the next wake", () => {
    const one = actor(webhookConfig({}))
    one.step(onlyNews, { a: tail(2) })
    one.step(ack("webhook", { ...wake(1), acks: [["a", 1]], done: false }))
    one.step(recordFailure("w1"))
    assert.isUndefined(one.state.retry)
    one.step(ack("webhook", { ...wake(1), acks: [], done: true }))
    one.step(recordFailure("w1"))
    assert.deepStrictEqual([one.state.wake?.id, one.state.retry], ["w2", undefined])
  })

  it("that is done has processed the events it showed, and not those that came meanwhile or instead", () => {
    const one = actor(webhookConfig({ streams: ["b"] }))
    one.step(onlyNews, {}, linkExplicitly(new Map([["b", tail(0)]]), () => false))
    one.step(onlyNews, { a: tail(2), b: tail(5) })
    one.step(onlyNews, { a: tail(3) })
    one.step(onlyNews, { b: gone })
    one.step(onlyNews, { b: tail(9, "two") })
    one.step(recordDelivery("w1", new Map([["a", 2], ["b", 5]])))
    assert.deepStrictEqual([one.state.links.get("a")?.acked, one.state.links.get("b")?.acked], [2, 0])
    assert.strictEqual(one.state.wake?.id, "w2")
  })

  it("is taken back when nothing is left to read", () => {
    const one = actor(webhookConfig({}))
    one.step(onlyNews, { a: tail(1) })
    one.step(recordFailure("w1"))
    one.step(onlyNews, { a: gone })
    assert.deepStrictEqual([one.state.wake, one.state.retry], [undefined, undefined])
  })
})

describe("a worker's wake", () => {
  it("is told once however many events come, and one worker claims it", () => {
    const one = actor(pullConfig({}))
    one.step(onlyNews, { a: tail(1) })
    one.step(onlyNews, { a: tail(2), b: tail(1) })
    assert.deepStrictEqual(one.told, ["w1"])
    const claimed = one.step(claim("me"))
    assert.deepNestedInclude(claimed, { wakeId: "w1", generation: 1 })
    assert.strictEqual(one.step(claim("you")), "ALREADY_CLAIMED")
  })

  it("that is given back is told again, with a new generation", () => {
    const one = actor(pullConfig({}))
    one.step(onlyNews, { a: tail(1) })
    one.step(claim("me"))
    one.step(release(wake(1)))
    assert.deepStrictEqual([one.told, one.state.generation, one.state.lease], [["w1", "w2"], 2, undefined])
    assert.strictEqual(one.step(release(wake(1))), "FENCED")
  })

  it("that is held too long goes to another worker", () => {
    const one = actor(pullConfig({ leaseMillis: 1_000 }))
    one.step(onlyNews, { a: tail(1) })
    one.step(claim("me"))
    one.now = 1_000
    assert.deepNestedInclude(one.step(claim("you")), { wakeId: "w2", generation: 2 })
    assert.strictEqual(one.step(ack("pull-wake", { ...wake(1), acks: [["a", 1]], done: true })), "FENCED")
    assert.strictEqual(one.state.links.get("a")?.acked, 0)
  })

  it("whose event was deleted with its stream is told again", () => {
    const one = actor(pullConfig({ wakeStream: "wake" }))
    one.step(onlyNews, { a: tail(1) })
    one.step(recordDelivery("w1", undefined))
    one.step(onlyNews, { wake: gone })
    one.now = 1_000
    one.step(onlyNews)
    assert.deepStrictEqual(one.told, ["w1", "w1"])
  })

  it("is not made by its own wake stream", () => {
    const one = actor(pullConfig({ wakeStream: "wake" }))
    one.step(onlyNews, { wake: tail(7) })
    assert.deepStrictEqual([one.state.links.size, one.told], [0, []])
  })
})

/** A subscription that a worker holds, and its acknowledgements. */
const held = () => {
  const one = actor(pullConfig({}))
  one.step(onlyNews, { a: tail(5), b: tail(5) })
  one.step(claim("me"))
  const acking = (...acks: Array<readonly [string, number | undefined]>) =>
    one.step(ack("pull-wake", { ...wake(1), acks, done: false }))
  return { one, acking }
}

describe("an acknowledgement", () => {
  it("goes forward, up to the tail, and stands or falls as a whole", () => {
    const { acking, one } = held()
    assert.isFalse(acking(["a", 3]))
    assert.isFalse(acking(["a", 3]), "the same again is nothing new")
    for (const bad of [["a", 2], ["a", 6], ["a", undefined], ["c", 1]] as const) {
      assert.strictEqual(acking(["b", 4], bad), "INVALID_OFFSET", String(bad))
    }
    assert.deepStrictEqual([one.state.links.get("a")?.acked, one.state.links.get("b")?.acked], [3, 0])
    assert.isFalse(acking(["a", 5], ["a", 4]))
    assert.strictEqual(one.state.links.get("a")?.acked, 5, "of two, the further one counts")
  })

  it("is accepted only for subscriptions of its kind", () => {
    const { one } = held()
    const request = { ...wake(1), acks: [], done: true }
    assert.strictEqual(one.step(ack("webhook", request)), "INVALID_REQUEST")
    const other = actor(webhookConfig({}))
    other.step(onlyNews, { a: tail(1) })
    assert.strictEqual(other.step(ack("pull-wake", request)), "INVALID_REQUEST")
    assert.strictEqual(other.step(claim("me")), "INVALID_REQUEST")
    assert.strictEqual(other.step(release(wake(1))), "INVALID_REQUEST")
  })
})

describe("links", () => {
  it("by pattern begin at the beginning of a stream or a fork's own events, and at the tail of an older stream", () => {
    const one = actor(webhookConfig({}))
    one.step(onlyNews, {}, linkByGlob(new Map([["old", tail(7)]])))
    one.step(onlyNews, { new: tail(2), fork: tail(9, "f", 6) })
    const acked = [...one.state.links].map(([path, link]) => [path, link.acked])
    assert.deepStrictEqual(acked, [["old", 7], ["new", 0], ["fork", 6]])
  })

  it("by name outlive their stream, and the pattern's outlive the name's", () => {
    const one = actor(webhookConfig({}))
    one.step(onlyNews, {}, linkExplicitly(new Map([["a", tail(3)]]), () => true))
    one.step(onlyNews, {}, linkExplicitly(new Map([["a", tail(3)]]), () => true))
    assert.deepInclude(one.state.links.get("a"), { glob: true, explicit: true, acked: 3 })
    one.step(onlyNews, { a: gone })
    assert.deepInclude(one.state.links.get("a"), { explicit: true, acked: 0, tail: 0 })
    one.step(unlink("a"))
    assert.deepInclude(one.state.links.get("a"), { glob: true, explicit: false })
    one.step(onlyNews, { a: tail(1, "two") })
    one.step(onlyNews, { a: { ...gone, life: "two" } })
    assert.strictEqual(one.state.links.size, 0)
  })

  it("of an older life of a stream are not touched by late news of its end", () => {
    const one = actor(webhookConfig({}))
    one.step(onlyNews, { a: tail(1, "two") })
    one.step(onlyNews, { a: gone })
    assert.strictEqual(one.state.links.size, 1)
  })

  it("are never more than the limit", () => {
    const one = actor(webhookConfig({}))
    one.step(
      onlyNews,
      Object.fromEntries(Array.from({ length: fixedLimits.linksMax + 2 }, (_, i) => [`s${i}`, tail(1)]))
    )
    assert.deepStrictEqual([one.state.links.size, one.left.length], [fixedLimits.linksMax, 2])
  })

  it("are shown with a wake up to a limit, those with events to read first", () => {
    const one = actor(pullConfig({}))
    one.step(
      onlyNews,
      Object.fromEntries(Array.from({ length: shownMax + 5 }, (_, i) => [`s${i}`, tail(i < 7 ? 0 : 1)]))
    )
    let streams: ReadonlyArray<string> = []
    one.step((draft) => {
      streams = listShown(draft).map(({ path }) => path)
      return Result.succeed(undefined)
    })
    assert.strictEqual(streams.length, shownMax)
    assert.strictEqual(streams.filter((path) => Number(path.slice(1)) < 7).length, shownMax - (shownMax + 5 - 7))
  })
})
