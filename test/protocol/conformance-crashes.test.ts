/**
 * The conformance suite against a server on files that is killed with SIGKILL and started again on its port: between
 * the halves of the suite, and then again and again between two requests of one test. So the suite's own checks show
 * whether every answer from before a kill still holds after it.
 */
import { afterAll, expect, type RunnerTestCase, test, vi } from "vitest"
import type { Target } from "../support/target.ts"
import { conformance, testsInSuite } from "./conformance.ts"

/** One request in this many is followed by a kill. */
const requestsBetween = 30

let target: Target
let begun = 0
let requests = 0
let crashes = 0
let mayCrash = false
let underWay = 0
const send = globalThis.fetch

/**
 * Tests about seconds would run out of time during a restart; tests of thousands of requests would be killed all day.
 */
const isSteady = (task: RunnerTestCase): boolean =>
  !task.concurrent && !/TTL|Expiry|leases|Property-Based/.test(task.fullName)

vi.stubGlobal("fetch", async (...[input, init]: Parameters<typeof fetch>) => {
  // A live answer goes on after its head, so from here on there are no kills in this test.
  if (/[?&]live=/.test(input instanceof Request ? input.url : String(input))) mayCrash = false
  if (mayCrash && underWay === 0 && ++requests >= requestsBetween) {
    requests = 0
    crashes++
    await target.crash()
  }
  underWay++
  try {
    return await send(input, init)
  } finally {
    underWay--
  }
})
afterAll(() => vi.unstubAllGlobals())

conformance("fs", async (started, task) => {
  target = started
  mayCrash = false
  if (++begun === testsInSuite / 2) await target.crash()
  mayCrash = isSteady(task)
})

test("the server of the suite has been killed often", () => expect(crashes).toBeGreaterThan(20))
