/**
 * The short form of `npm run chaos -- disk`. `test/storage-filesystem/recovery.test.ts` has its byte cuts.
 */
import { assert, it } from "vitest"
import { Random } from "../support/random.ts"
import { anyHistory, everyCallFails, Total } from "./disk.ts"

it("Promises 2 and 3: after any call of the disk fails, no acknowledged commit is lost, and a refused one succeeds later", async () => {
  const total = new Total()
  await everyCallFails(new Random(2), total, ["sectors"])
  assert.deepStrictEqual(total.violations, [])
  assert.isAbove(total.failedCalls, 50)
})

it("Promises 2 and 3: after any history and any crash a log has whole commits only, and every acknowledged one", async () => {
  const total = new Total()
  const random = new Random(3)
  for (let seed = 0; seed < 80; seed++) await anyHistory(random.fork(), seed, total)
  assert.deepStrictEqual(total.violations, [])
  assert.isAbove(total.crashes, 150)
})
