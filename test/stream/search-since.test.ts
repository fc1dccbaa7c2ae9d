/**
 * The first event since a time: the search finds the same event as a look at every event, and gives back the memory of
 * its reads.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { toRfc3339 } from "../../src/domain/rfc3339.ts"
import type { EventBlock, StreamName } from "../../src/domain/types.ts"
import { emptyBlock, layOut, toFrame } from "../../src/event/event-block.ts"
import { EventData } from "../../src/event/event-data.ts"
import { searchSince } from "../../src/stream/search-since.ts"

const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))
const one = EventData.fromValue(1)

it.effect.prop(
  "the search for a time finds the same event as a look at every event, and gives the memory of every read back",
  [Schema.Array(Small), Schema.Array(Small)],
  ([counts, pauses]) =>
    Effect.gen(function*() {
      const commits: Array<{ readonly first: number; readonly count: number; readonly at: number }> = []
      let tail = 0
      counts.forEach((count, i) => {
        commits.push({ first: tail, count, at: (commits.at(-1)?.at ?? 1_000) + (pauses[i] ?? 1) })
        tail += count
      })
      let taken = 0
      const read = (offset: number) =>
        Effect.sync((): EventBlock => {
          const commit = commits.find(({ count, first }) => offset >= first && offset < first + count)
          if (commit === undefined) return emptyBlock(offset)
          const count = commit.first + commit.count - offset
          taken++
          const frame = toFrame("s" as StreamName, toRfc3339(commit.at))
          const block = layOut(offset, Array.from({ length: count }, () => one), frame)
          return { ...block, release: () => void taken-- }
        })
      for (let time = 999; time < (commits.at(-1)?.at ?? 1_000) + 2; time++) {
        const expected = commits.find(({ at, count }) => count > 0 && at >= time)?.first ?? tail
        assert.strictEqual(yield* searchSince(read, tail, time), expected)
      }
      assert.strictEqual(taken, 0)
    })
)
