/**
 * The newest events in memory are those of the log, however they came and from wherever they are asked for (promise 6), and
 * take little more than their bytes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { eventText, layOut, toFrame } from "../../src/durable-streams/event-block.ts"
import { EventData } from "../../src/durable-streams/event-data.ts"
import { RecentEvents } from "../../src/durable-streams/recent-events.ts"
import type { StreamName } from "../../src/durable-streams/types.ts"
import { tried } from "../properties.ts"

const frame = toFrame("s" as StreamName, "2026-01-01T00:00:00.000Z")

const commitOf = (first: number, count: number, bytes: number) =>
  layOut(
    first,
    Array.from({ length: count }, (_, i) => EventData.fromValue(`${first + i}`.padEnd(bytes, "x"))),
    frame
  )

/** Small ones mostly, as they come; now and then larger than a piece, or than all that is kept. */
const Commit = Schema.Struct({
  count: Schema.Literals([1, 1, 1, 2, 10]),
  bytes: Schema.Literals([10, 100, 300, 1_000, 9_000])
})

describe("the newest events", () => {
  it.prop(
    "are the log's, from wherever they are asked for",
    [Schema.Array(Commit).check(Schema.isMaxLength(80))],
    ([commits]) => {
      const recent = new RecentEvents()
      const texts: Array<string> = []
      for (const { bytes, count } of commits) {
        const block = commitOf(texts.length, count, bytes)
        for (let i = 0; i < count; i++) texts.push(eventText(block, i))
        recent.add(block)
        // The newest commit is there in any case, and what is there reaches to the end.
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

  it("are one block for all who ask for the newest commit", () => {
    const recent = new RecentEvents()
    for (let i = 0; i < 1_000; i++) {
      const block = commitOf(i, 1, 100)
      recent.add(block)
      assert.strictEqual(recent.from(i, Infinity), block)
    }
  })

  it("lie in a few pieces: of a thousand small commits, those that are kept are not kept one by one", () => {
    const recent = new RecentEvents()
    for (let i = 0; i < 1_000; i++) recent.add(commitOf(i, 1, 100))
    const buffers = new Set<ArrayBufferLike>()
    for (let i = 999; recent.from(i, 1) !== undefined; i--) buffers.add(recent.from(i, 1)!.bytes.buffer)
    assert.isBelow(buffers.size, 20)
  })
})
