/**
 * Names that differ little: by a slash at the end, in case, in Unicode form, in their encoded look. A request means the
 * stream with exactly the name that it gives; only if there is no such stream does it mean the name without its extra
 * slash.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { StreamName } from "../../src/domain/types.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { offsetOf } from "../support/names.ts"
import { append, eventsOf, stage } from "./stage.ts"
import { served } from "./subscription-server.ts"

const pull = (more: Record<string, unknown>) => ({
  type: "pull-wake",
  wake_stream: "wake",
  lease_ttl_ms: 60_000,
  ...more
})

/** A claim, and the acknowledgement of its events. */
const working = Effect.gen(function*() {
  const { say } = yield* served
  yield* append("wake", 0)
  const claim = Effect.map(say("POST", "subscriptions/s/claim", { worker: "me" }), ({ body, status }) => {
    assert.strictEqual(status, 200)
    const streams = body["streams"] as ReadonlyArray<{ readonly path: string; readonly tail_offset: string }>
    const ack = (acks: ReadonlyArray<{ readonly stream: string; readonly offset: string }>, done = true) =>
      say(
        "POST",
        "subscriptions/s/ack",
        { wake_id: body["wake_id"], generation: body["generation"], acks, done },
        { authorization: `Bearer ${String(body["token"])}` }
      )
    return { streams, ack }
  })
  const cursors = Effect.map(say("GET", "subscriptions/s"), ({ body }) =>
    Object.fromEntries(
      (body["streams"] as ReadonlyArray<{ readonly path: string; readonly acked_offset: string }>)
        .map(({ acked_offset, path }) => [path, acked_offset === "-1" ? 0 : Number(acked_offset)])
    ))
  return { say, claim, cursors }
})

const test = (title: string, play: Effect.Effect<void, unknown, Effect.Services<typeof working>>) =>
  it.live(title, () => Effect.scoped(play).pipe(Effect.provide(stage)))

describe("Promise 10: a stream whose name", () => {
  const alike = [
    "a",
    "/a",
    "a/",
    "//a",
    "/",
    "//",
    "%2Fa",
    "A",
    "\u00e9",
    "e\u0301",
    "__proto__",
    "/__proto__",
    "a\\b",
    "a\"b"
  ]

  test(
    "is like another stream's is acknowledged under its own name",
    Effect.gen(function*() {
      const { claim, cursors, say } = yield* working
      yield* say("PUT", "subscriptions/s", pull({ pattern: "**" }))
      for (const [i, name] of alike.entries()) yield* append(name, ...Array.from({ length: i + 1 }, () => name))
      const { ack, streams } = yield* claim
      assert.deepStrictEqual(streams.map(({ path }) => path).toSorted(), alike.toSorted())
      for (const [i, name] of alike.entries()) {
        const answer = yield* ack([{ stream: name, offset: offsetOf(i + 1) }], false)
        assert.strictEqual(answer.status, 200, name)
        const expected = alike.map((name, j) => [name, j <= i ? j + 1 : 0] as const)
        assert.deepStrictEqual(new Map(Object.entries(yield* cursors)), new Map(expected), name)
      }
      assert.deepInclude((yield* ack([])).body, { next_wake: false })
    })
  )

  test(
    "ends in a slash stops no subscription whose pattern means it",
    Effect.gen(function*() {
      const { claim, cursors, say } = yield* working
      yield* say("PUT", "subscriptions/s", pull({ pattern: "**" }))
      yield* append("bad/", 1)
      yield* append("good", 1)
      const { ack, streams } = yield* claim
      const answer = yield* ack(streams.map(({ path, tail_offset }) => ({ stream: path, offset: tail_offset })))
      assert.deepStrictEqual([answer.status, answer.body], [200, { ok: true, next_wake: false }])
      assert.deepStrictEqual(yield* cursors, { "bad/": 1, good: 1 })
    })
  )

  test(
    "has one slash less than the request is found all the same, if no stream has the longer name",
    Effect.gen(function*() {
      const { claim, cursors, say } = yield* working
      yield* say("PUT", "subscriptions/s", pull({ streams: ["/a/", "b"] }))
      yield* append("a", 1)
      const { ack } = yield* claim
      assert.strictEqual((yield* ack([{ stream: "/a", offset: offsetOf(1) }])).status, 200)
      assert.deepStrictEqual(yield* cursors, { a: 1, b: 0 })
      assert.strictEqual((yield* say("DELETE", "subscriptions/s/streams//a/")).status, 204)
      assert.deepStrictEqual(yield* cursors, { b: 0 })
    })
  )

  test(
    "was deleted since the wake is not taken for the stream without its slash",
    Effect.gen(function*() {
      const { claim, cursors, say } = yield* working
      const manager = yield* StreamManager
      yield* say("PUT", "subscriptions/s", pull({ pattern: "**" }))
      yield* append("/a", 1, 2, 3)
      yield* append("a", 1, 2, 3, 4, 5)
      const { ack } = yield* claim
      yield* manager.delete("/a" as StreamName)
      const answer = yield* ack([{ stream: "/a", offset: offsetOf(3) }], false)
      assert.deepStrictEqual([answer.status, (answer.body["error"] as { code: string }).code], [409, "INVALID_OFFSET"])
      assert.strictEqual((yield* cursors)["a"], 0)
    })
  )

  test(
    "begins with a slash is linked, unlinked and written to by that name",
    Effect.gen(function*() {
      const { claim, cursors, say } = yield* working
      yield* append("/wake", 0)
      yield* append("/a", 1)
      yield* append("a", 1)
      yield* append("/b", 1)
      const made = yield* say("PUT", "subscriptions/s", pull({ streams: ["/a"], wake_stream: "/wake" }))
      assert.strictEqual(made.body["wake_stream"], "/wake")
      const other = yield* say("PUT", "subscriptions/s", pull({ streams: ["a"], wake_stream: "/wake" }))
      assert.strictEqual(other.status, 409, "another stream is another configuration")
      yield* say("POST", "subscriptions/s/streams", { streams: ["a", "/b"] })
      assert.deepStrictEqual(yield* cursors, { "/a": 1, a: 1, "/b": 1 })
      yield* append("/a", 2)
      yield* claim
      assert.strictEqual((yield* eventsOf("wake")).length, 1)
      assert.strictEqual((yield* say("DELETE", "subscriptions/s/streams/%2Fa")).status, 204)
      assert.deepStrictEqual(yield* cursors, { a: 1, "/b": 1 })
    })
  )
})

describe("a wake stream", () => {
  for (const name of ["__registry__", "/__registry__", "__ds", "__ds/wake", "/__ds/wake"]) {
    test(
      `is never ${name}`,
      Effect.gen(function*() {
        const { say } = yield* served
        yield* append("__registry__", 1)
        const answer = yield* say("PUT", "subscriptions/s", pull({ streams: ["a"], wake_stream: name }))
        assert.strictEqual(answer.status, 400)
        assert.match((answer.body["error"] as { message: string }).message, /reserved/)
      })
    )
  }
})
