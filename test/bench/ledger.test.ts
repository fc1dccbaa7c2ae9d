/**
 * The ledger says whether any event was lost, duplicated or out of order, so it must notice all three.
 */
import { expect, it } from "@effect/vitest"
import { percentile } from "./figures.ts"
import { sequenceBase, sequencesIn } from "./follower.ts"
import { Ledger, Order } from "./ledger.ts"

it("an event is complete when every follower has it", async () => {
  const ledger = new Ledger()
  const order = new Order()
  const sequence = ledger.send(2)
  ledger.deliver(order, 0, sequence)
  expect(ledger.outstanding).toBe(1)
  ledger.deliver(order, 0, sequence)
  await ledger.fewerThan(1)
  expect(ledger.take()).toHaveLength(2)
})

it("the ledger notices a duplicate, another order and an event that was never sent", async () => {
  await expect(wrong([[0, 0], [1, 0]])).rejects.toThrow("delivered twice")
  await expect(wrong([[0, 0], [0, 1]])).rejects.toThrow("where others were given 0")
  await expect(wrong([[0, 2]])).rejects.toThrow("never published")
})

it("the follower finds sequence numbers in pieces of any size", () => {
  const frames = [0, 1, 2].map((n) => `id: 7\ndata: {"data":{"seq":${sequenceBase + n},"text":"…"}}\n\n`).join("")
  const bytes = Buffer.from(frames)
  for (let size = 1; size <= bytes.length; size++) {
    const found: Array<number> = []
    const sequences = sequencesIn((sequence) => found.push(sequence))
    for (let at = 0; at < bytes.length; at += size) sequences(bytes.subarray(at, at + size))
    expect(found).toEqual([0, 1, 2])
  }
})

it("of a hundred values, the 99th percentile is not the highest", () => {
  const values = Float64Array.from({ length: 100 }, (_, i) => i + 1)
  expect([0.5, 0.95, 0.99, 1].map((share) => percentile(values, share))).toEqual([50, 95, 99, 100])
  expect(percentile(Float64Array.of(3), 0.5)).toBe(3)
})

const wrong = async (positions: ReadonlyArray<readonly [number, number]>) => {
  const ledger = new Ledger()
  const order = new Order()
  ledger.send(2)
  ledger.send(2)
  for (const [position, sequence] of positions) ledger.deliver(order, position, sequence)
  await ledger.fewerThan(1)
}
