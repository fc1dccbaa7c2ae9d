/**
 * The slope separates growth from noise.
 */
import { assert, it } from "vitest"
import { Random } from "../../support/random.ts"
import { theilSen } from "./slope.ts"

const samples = (slope: number, noise: number) => {
  const random = new Random(7)
  return Array.from({ length: 200 }, (_, i) => [i, 100 + slope * i + noise * (random.next() - 0.5)] as const)
}

it("the slope shows growth in spite of noise", () => {
  const { high, low, slope } = theilSen(samples(0.5, 10))
  assert.closeTo(slope, 0.5, 0.05)
  assert.isAbove(low, 0)
  assert.isAbove(high, slope)
})

it("the slope shows no growth if there is only noise, and a few wild samples change nothing", () => {
  const { high, low } = theilSen(samples(0, 10).map(([x, y], i) => [x, i % 20 === 0 ? y + 500 : y] as const))
  assert.isBelow(low, 0)
  assert.isAbove(high, 0)
})
