/**
 * Cursors of live answers (docs/protocol.md 15): intervals of time that never go back.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { currentCursor, nextCursor } from "../../src/protocol/cursor.ts"

const at = (time: string) => TestClock.setTime(Date.parse(time))

describe("cursors", () => {
  it("count intervals of 20 seconds since 2024-10-09", () => {
    assert.strictEqual(currentCursor(Date.parse("2024-10-09T00:00:00Z")), 0)
    assert.strictEqual(currentCursor(Date.parse("2024-10-09T00:00:19.999Z")), 0)
    assert.strictEqual(currentCursor(Date.parse("2024-10-09T00:00:20Z")), 1)
    assert.strictEqual(currentCursor(Date.parse("2024-10-10T00:00:00Z")), 4320)
    assert.strictEqual(currentCursor(0), 0)
  })

  it.effect("are the current one for whoever sent none, one of the past, or nonsense", () =>
    Effect.gen(function*() {
      yield* at("2024-10-10T00:00:00Z")
      for (const given of [undefined, "0", "4319", "", "-5", "abc", "4320.5", "9".repeat(30)]) {
        assert.strictEqual(yield* nextCursor(given), 4320)
      }
    }))

  it.effect("go ahead of a client's that is not past, by at most an hour", () =>
    Effect.gen(function*() {
      yield* at("2024-10-10T00:00:00Z")
      const seen = new Set<number>()
      for (let i = 0; i < 2_000; i++) seen.add((yield* nextCursor("4320")) - 4320)
      assert.isAtLeast(Math.min(...seen), 1)
      assert.isAtMost(Math.max(...seen), 180)
      assert.isAbove(seen.size, 50)
      assert.isAbove(yield* nextCursor("999999"), 999_999)
    }))
})
