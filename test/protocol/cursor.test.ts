/**
 * Cursors of live answers (docs/protocol.md 15): intervals of time that never go back.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { currentInterval, cursorOf, isOfLife, nextCursor } from "../../src/protocol/cursor.ts"

const now = (id: string) => cursorOf(Date.parse("2024-10-10T00:00:00Z"), id)

const at = (time: string) => TestClock.setTime(Date.parse(time))

describe("cursors", () => {
  it("count intervals of 20 seconds since 2024-10-09", () => {
    assert.strictEqual(currentInterval(Date.parse("2024-10-09T00:00:20Z")), 1)
    assert.strictEqual(currentInterval(Date.parse("2024-10-09T00:00:39.999Z")), 1)
    assert.strictEqual(currentInterval(Date.parse("2024-10-09T00:00:40Z")), 2)
    assert.strictEqual(currentInterval(Date.parse("2024-10-10T00:00:00Z")), 4320)
    // A clock that is not set yet still gives a cursor.
    assert.strictEqual(currentInterval(0), 1)
  })

  it.effect("are the current one for a client that sent none, a past one, or nonsense", () =>
    Effect.gen(function*() {
      yield* at("2024-10-10T00:00:00Z")
      const past = `${cursorOf(Date.parse("2024-10-09T23:59:59Z"), "a")}`
      for (const given of [undefined, "0", "4319", past, "", "-5", "abc", "4320.5", "9".repeat(16), "9".repeat(30)]) {
        assert.strictEqual(yield* nextCursor(given, "a"), now("a"))
      }
    }))

  it.effect("are ahead of a client's cursor that is not past, by at most an hour", () =>
    Effect.gen(function*() {
      yield* at("2024-10-10T00:00:00Z")
      const seen = new Set<number>()
      const given = `${now("a")}`
      for (let i = 0; i < 2_000; i++) seen.add(((yield* nextCursor(given, "a")) - now("a")) / 2 ** 24)
      assert.isAtLeast(Math.min(...seen), 1)
      assert.isAtMost(Math.max(...seen), 180)
      assert.isAbove(seen.size, 50)
      const ahead = cursorOf(Date.parse("2031-01-01T00:00:00Z"), "a")
      assert.isAbove(yield* nextCursor(`${ahead}`, "a"), ahead)
      // Other servers write a bare interval: our cursor is greater, whatever theirs is.
      assert.isAbove(yield* nextCursor("9999999", "a"), 9_999_999)
    }))

  it("Promise 10: name the life of their stream, and a cursor that is not ours names none", () => {
    const given = `${now("00000000000000a1")}`
    assert.isTrue(isOfLife(given, "00000000000000a1"))
    for (const other of ["00000000000000a2", "10000000000000a1", "", "b"]) assert.isFalse(isOfLife(given, other), other)
    for (const none of [undefined, "", "0", "4320", "3400000", "x", "9".repeat(17)]) assert.isTrue(isOfLife(none, "a"))
    assert.isBelow(cursorOf(Date.parse("2150-01-01T00:00:00Z"), "a"), Number.MAX_SAFE_INTEGER)
  })
})
