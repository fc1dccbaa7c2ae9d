/**
 * Followers share the bytes of a frame, and must not share a place in another life of the stream.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { placeOf } from "../../src/protocol/reading.ts"
import { dataFrames, sharedFrames } from "../../src/protocol/sse-frames.ts"
import { fillNew } from "../../src/stream-http/joined-events.ts"
import { freshName } from "../support/names.ts"
import { append, layerServer, talk } from "../support/served.ts"
import { blockOfLines, named } from "../support/storage-fixtures.ts"

const block = () =>
  blockOfLines(0, [
    `{"offset":"0000000000000000","eventStreamId":"a\\"b","data":"x","createdAt":"2024-01-08T00:00:00.000Z"}`
  ])
const control = { next: 1, cursor: 7, isTail: true, isEnd: false }

describe("frames", () => {
  it("Promise 6: are made once for all followers who are at one place and get the same events", () => {
    const one = block()
    const first = sharedFrames(one, "json", control)
    assert.strictEqual(sharedFrames(one, "json", { ...control }), first)
    assert.include(Buffer.from(first.bytes).toString(), `data:["x"]\n\n`)
    for (const other of [{ isTail: false }, { isEnd: true }, { cursor: 8 }]) {
      assert.notDeepEqual(sharedFrames(one, "json", { ...control, ...other }), first)
    }
    assert.notStrictEqual(sharedFrames(block(), "json", control), first)
  })

  it("of a follower's own block are not shared, and its memory is given back", () => {
    let released = 0
    const own = { ...block(), release: () => void released++ }
    const frames = dataFrames(own, "json", control, fillNew)
    assert.notStrictEqual(dataFrames(own, "json", control, fillNew), frames)
    assert.strictEqual(released, 2)
  })
})

it.effect("a place names the life that was read, never the next one", () =>
  Effect.gen(function*() {
    const name = freshName()
    yield* talk((port) => append(port, name, "1"))
    const stream = yield* Effect.flatMap(StreamManager, (manager) => manager.get(named(name)))
    const { life } = yield* stream.info
    assert.deepStrictEqual(yield* placeOf(stream, { life, next: 1 }), { isTail: true, isEnd: false })
    assert.deepStrictEqual(yield* placeOf(stream, { life, next: 0 }), { isTail: false, isEnd: false })
    assert.strictEqual((yield* Effect.flip(placeOf(stream, { life: life - 1, next: 1 })))._tag, "StreamDeleted")
  }).pipe(Effect.scoped, Effect.provide(layerServer())))
