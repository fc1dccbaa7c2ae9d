/**
 * Numbered appends that arrive in any order, several times and at once: whatever the network does to them, each is
 * there once, in the order of its producer's numbers (PROTOCOL 5.2.1).
 */
import * as fc from "fast-check"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Target } from "../support/target.ts"
import { readAll } from "./follow.ts"

interface Numbered {
  readonly id: string
  readonly epoch: number
  readonly seq: number
}

let target: Target
beforeAll(async () => {
  target = await Target.start("fs")
})
afterAll(() => target.stop())

const send = async (url: string, message: Numbered) => {
  const answer = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "producer-id": message.id,
      "producer-epoch": String(message.epoch),
      "producer-seq": String(message.seq)
    },
    body: JSON.stringify([message])
  })
  await answer.arrayBuffer()
  return answer
}

/** Sends all at once in this order, and sends those that came too early again, until none is left. */
const deliver = async (url: string, messages: ReadonlyArray<Numbered>): Promise<ReadonlyArray<Numbered>> => {
  const accepted: Array<Numbered> = []
  for (let left = messages; left.length > 0;) {
    const early: Array<Numbered> = []
    await Promise.all(left.map(async (message) => {
      const { headers, status } = await send(url, message)
      if (status === 200) accepted.push(message)
      else if (status === 409) {
        assert.isBelow(Number(headers.get("producer-expected-seq")), message.seq)
        assert.strictEqual(headers.get("producer-received-seq"), String(message.seq))
        early.push(message)
      } else if (status === 400) {
        // A new life begins with 0.
        assert.isAbove(message.epoch * message.seq, 0)
        early.push(message)
      } else assert.strictEqual(status, 204)
    }))
    assert.isBelow(early.length, left.length)
    left = early
  }
  return accepted
}

const numbers = (id: string, epoch: number, count: number): ReadonlyArray<Numbered> =>
  Array.from({ length: count }, (_, seq) => ({ id, epoch, seq }))

/** The messages of one life of each producer: every number at least once, in any order. */
const life = (epoch: number) =>
  fc.record({ a: fc.integer({ min: 1, max: 12 }), b: fc.integer({ min: 0, max: 6 }) }).chain(({ a, b }) => {
    const once = [...numbers("a", epoch, a), ...numbers("b", epoch, b)]
    return fc.subarray(once).chain((twice) => {
      const all = [...once, ...twice]
      return fc.shuffledSubarray(all, { minLength: all.length }).map((shuffled) => ({ once, shuffled }))
    })
  })

describe("numbered appends", () => {
  it("are there once and in order, however they arrive", async () => {
    let streams = 0
    const property = fc.asyncProperty(life(0), life(1), async (first, second) => {
      const url = target.url(`reordered-${++streams}`)
      await fetch(url, { method: "PUT", headers: { "content-type": "application/json" } })
      const accepted = [...await deliver(url, first.shuffled), ...await deliver(url, second.shuffled)]
      const messages = await readAll<Numbered>(url)
      for (const id of ["a", "b"]) {
        const of = (list: ReadonlyArray<Numbered>) => list.filter((message) => message.id === id)
        assert.deepStrictEqual(of(messages), of([...first.once, ...second.once]))
        assert.lengthOf(of(accepted), of(messages).length)
      }
      // A message of a finished life is refused, and the refusal names the life that ended it. If the producer had no
      // later life, the number is a duplicate.
      for (const message of first.shuffled.slice(0, 3)) {
        const answer = await send(url, message)
        const isOver = second.once.some(({ id }) => id === message.id)
        assert.strictEqual(answer.status, isOver ? 403 : 204)
        assert.strictEqual(answer.headers.get("producer-epoch"), isOver ? "1" : "0")
      }
    })
    await fc.assert(property, {
      seed: 20_261_121,
      numRuns: 100,
      interruptAfterTimeLimit: 20_000,
      markInterruptAsFailure: true
    })
    assert.strictEqual(streams, 100)
  })
})
