/**
 * Thousands of patterns: a stream's news reaches the right subscriptions, in order, and other work does not wait for
 * it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FiberSet } from "effect"
import type { News } from "../../src/subscriptions/machine/wake-cycle.ts"
import { Interest, type Listener } from "../../src/subscriptions/running/interest.ts"
import { eventually } from "./stage.ts"

const news = (tail: number, life = "life"): News => ({ life, exists: true, begin: 0, tail })

class Ear implements Listener {
  readonly heard: Array<readonly [path: string, tail: number]> = []
  tell(path: string, { tail }: News): void {
    this.heard.push([path, tail])
  }
}

const makeInterest = Effect.map(FiberSet.makeRuntime<never>(), (fork) => new Interest<Ear>(fork))

/**
 * The longest time in which no other work ran meanwhile, in milliseconds of this thread: the machine's other work does
 * not count.
 */
const longestPause = <A, E>(running: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    let longest = 0
    let last = threadMillis()
    let isOver = false
    const look = () => {
      const now = threadMillis()
      longest = Math.max(longest, now - last)
      last = now
      if (!isOver) setImmediate(look)
    }
    setImmediate(look)
    yield* running
    yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
    isOver = true
    return longest
  })

const threadMillis = () => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1_000
}

const number = (i: number) => `${i}`.padStart(5, "0")

const name = (i: number) => `${"a/".repeat(249)}${number(i)}`

describe("10,000 patterns", () => {
  const kinds: ReadonlyArray<readonly [what: string, pattern: (i: number) => string, meant: number | undefined]> = [
    ["that differ in their ends", (i) => `**/${"a/".repeat(119)}${number(i)}`, 1],
    ["with open ends", (i) => `**/${number(i)}/${"a/".repeat(118)}**`, undefined],
    ["that look for every segment anywhere", (i) => `${"**/a/".repeat(80)}**/${number(i)}/**/*`, undefined]
  ]
  for (const [what, pattern, meant] of kinds) {
    it.live(`${what} let other work run while a name is compared with them`, () =>
      Effect.gen(function*() {
        const interest = yield* makeInterest
        const ears = Array.from({ length: 10_000 }, (_, i) => {
          const ear = new Ear()
          interest.addGlob(pattern(i), ear)
          return ear
        })
        const everything = new Ear()
        interest.addGlob("**", everything)
        const pauses: Array<number> = []
        for (const i of [1, 2]) {
          pauses.push(
            yield* longestPause(
              Effect.suspend(() => {
                interest.tell(name(i), news(i))
                return interest.settled
              })
            )
          )
        }
        assert.deepStrictEqual(everything.heard, [1, 2].map((i) => [name(i), i] as const))
        const heard = ears.flatMap((ear, i) => ear.heard.map(() => i))
        assert.deepStrictEqual(heard, meant === undefined ? [] : [1, 2])
        assert.isBelow(Math.min(...pauses), 20)
      }).pipe(Effect.scoped))
  }
})

/** Patterns that need several pieces of work for a name. */
const slow = (interest: Interest<Ear>) => {
  const nobody = new Ear()
  for (let i = 0; i < 500; i++) interest.addGlob(`**/${number(i)}/${"a/".repeat(110)}**`, nobody)
}

describe("a name that is still compared with the patterns", () => {
  const path = "a/".repeat(250)

  it.live("is told in order, to subscriptions that read it by name as well, and once for all news in between", () =>
    Effect.gen(function*() {
      const interest = yield* makeInterest
      const [byName, byGlob] = [new Ear(), new Ear()]
      slow(interest)
      interest.addPath(path, byName)
      interest.addGlob("**", byGlob)
      interest.tell(path, news(1))
      assert.isFalse(interest.isSettled)
      interest.tell(path, news(2))
      interest.tell("other", news(1))
      assert.deepStrictEqual(byName.heard, [])
      yield* interest.settled
      assert.isTrue(interest.isSettled)
      assert.deepStrictEqual(byName.heard, [[path, 2]])
      assert.deepStrictEqual(byGlob.heard, [[path, 2], ["other", 1]])
      interest.tell(path, news(3))
      assert.deepStrictEqual(byName.heard.at(-1), [path, 3])
    }).pipe(Effect.scoped))

  it.live("reaches a pattern that is added meanwhile, and no longer one that is removed", () =>
    Effect.gen(function*() {
      const interest = yield* makeInterest
      const [early, late, left] = [new Ear(), new Ear(), new Ear()]
      slow(interest)
      interest.addGlob("a/**", early)
      interest.addGlob("a/a/**", left)
      interest.tell(path, news(1))
      yield* Effect.yieldNow
      interest.addGlob("a/**/a/*", late)
      interest.removeGlob("a/a/**", left)
      yield* eventually(() => interest.isSettled)
      assert.deepStrictEqual([early.heard.length, late.heard.length, left.heard.length], [1, 1, 0])
    }).pipe(Effect.scoped))
})
