/**
 * The newest events in memory are those of the log, however they came and from whatever offset a reader asks for them
 * (promise 6), and take little more than their bytes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type { StreamName } from "../../src/domain/types.ts"
import { eventText, layOut, toFrame } from "../../src/event/event-block.ts"
import { EventData } from "../../src/event/event-data.ts"
import { RecentEvents } from "../../src/stream/recent-events.ts"
import { tried } from "../support/properties.ts"

const frame = toFrame("s" as StreamName, "2026-01-01T00:00:00.000Z")

const commitOf = (first: number, count: number, bytes: number) =>
  layOut(
    first,
    Array.from({ length: count }, (_, i) => EventData.fromValue(`${first + i}`.padEnd(bytes, "x"))),
    frame
  )

/** Mostly small commits; now and then one that is larger than a piece, or than the whole memory for them. */
const Commit = Schema.Struct({
  count: Schema.Literals([1, 1, 1, 2, 10]),
  bytes: Schema.Literals([10, 100, 300, 1_000, 9_000])
})

describe("the newest events", () => {
  it.prop(
    "are the log's, from whatever offset a reader asks",
    [Schema.Array(Commit).check(Schema.isMaxLength(80))],
    ([commits]) => {
      const recent = new RecentEvents()
      const texts: Array<string> = []
      for (const { bytes, count } of commits) {
        const block = commitOf(texts.length, count, bytes)
        for (let i = 0; i < count; i++) texts.push(eventText(block, i))
        recent.add(block)
        // The newest commit is always there, and the events in memory reach to the tail.
        for (const next of [texts.length - count, texts.length - 1, texts.length >> 1, 0]) {
          const found = recent.from(next, Infinity)
          if (next >= texts.length - count) assert.isDefined(found)
          if (found === undefined) continue
          const all = Array.from({ length: found.count }, (_, i) => eventText(found, i))
          assert.deepStrictEqual(all, texts.slice(next))
        }
      }
    },
    tried(60, 80)
  )

  it("are one block for all readers of the newest commit, or of the same events after it", () => {
    const recent = new RecentEvents()
    for (let i = 0; i < 1_000; i++) {
      recent.add(commitOf(i, 1, 100))
      for (const next of [i, Math.max(0, i - 5), Math.max(0, i - 100)]) {
        const block = recent.from(next, 64 * 1024)
        assert.isDefined(block)
        assert.strictEqual(recent.from(next, 64 * 1024), block)
      }
    }
  })

  it("take no more memory than they say, whatever buffer they came in", () => {
    const shared = Buffer.alloc(64 * 1024)
    const recent = new RecentEvents()
    const buffers = new Set<ArrayBufferLike>()
    for (let i = 0; i < 3_000; i++) {
      const { bytes, ...block } = commitOf(i, 1, 100)
      shared.set(bytes)
      recent.add({ ...block, bytes: shared.subarray(0, bytes.length) })
    }
    for (let i = 2_999; recent.from(i, 1) !== undefined; i--) buffers.add(recent.from(i, 1)!.bytes.buffer)
    assert.notInclude([...buffers], shared.buffer)
    assert.isAtMost([...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0), (64 + 8) * 1024)
  })
})
