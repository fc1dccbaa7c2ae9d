/**
 * The short form of `npm run chaos -- damage`.
 */
import { assert, it } from "vitest"
import { Random } from "../support/random.ts"
import { finishedLogs, oneDamage, Total } from "./damage.ts"

it("Promise 10: the server reports every damage to the bytes of a log, and serves the events before it", async () => {
  const total = new Total()
  const random = new Random(5)
  const finished = await finishedLogs(random.fork())
  for (let round = 0; round < 50; round++) await oneDamage(finished, random.fork(), round, total)
  assert.deepStrictEqual(total.violations, [])
  assert.isAbove(total.told, 30)
})
