/**
 * The short form of `npm run chaos -- damage`.
 */
import { assert, it } from "vitest"
import { Random } from "../support/random.ts"
import { finishedLogs, oneDamage, Total } from "./damage.ts"

it("Promise 10: whatever happens to the bytes of a log is told, and what was before it is served", async () => {
  const total = new Total()
  const random = new Random(5)
  const finished = await finishedLogs(random.fork())
  for (let round = 0; round < 50; round++) await oneDamage(finished, random.fork(), round, total)
  assert.deepStrictEqual(total.violations, [])
  assert.isAbove(total.told, 30)
})
