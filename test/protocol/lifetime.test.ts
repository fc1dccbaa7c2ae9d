/**
 * Requests that count as use of a stream that expires (docs/protocol.md 10), on the test's own clock.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { freshName, offsetOf } from "../support/names.ts"
import { layerServer, talk } from "../support/served.ts"
import { get, head, Live, post, put, text } from "../support/speaking.ts"

const ask = (question: (port: number) => Promise<{ readonly status: number }>) =>
  Effect.map(talk(question), ({ status }) => status)

it.effect("reads and appends are use of a stream, a HEAD and a PUT that finds it are not", () =>
  Effect.gen(function*() {
    const name = freshName()
    yield* talk((port) => put(port, name, { ...text, "stream-ttl": "10" }, "a"))
    const uses: ReadonlyArray<(port: number) => Promise<Response>> = [
      (port) => get(port, name),
      (port) => post(port, name, text, "b"),
      (port) => get(port, name, "?offset=now"),
      (port) => get(port, name, "?tail=1")
    ]
    for (const use of uses) {
      yield* TestClock.adjust("7 seconds")
      assert.isBelow(yield* ask(use), 300)
    }
    yield* TestClock.adjust("7 seconds")
    assert.strictEqual(yield* ask((port) => head(port, name)), 200)
    yield* TestClock.adjust("4 seconds")
    assert.strictEqual(yield* ask((port) => head(port, name)), 404)
    assert.strictEqual(yield* ask((port) => get(port, name)), 404)
  }).pipe(Effect.provide(layerServer())))

it.effect("a stream that expires under a follower ends the answer, and says so", () =>
  Effect.gen(function*() {
    const name = freshName()
    yield* talk((port) => put(port, name, { ...text, "stream-expires-at": "1970-01-01T00:00:10Z" }, "a"))
    const live = yield* talk((port) => Live.open(port, name, "offset=-1"))
    const { control } = yield* Effect.promise(() => live.batch())
    assert.strictEqual(control.streamNextOffset, offsetOf(1))
    yield* TestClock.adjust("11 seconds")
    assert.strictEqual(yield* ask((port) => head(port, name)), 404)
    const last = yield* Effect.promise(() => live.event())
    assert.deepInclude(last, { type: "problem", id: "-1" })
    assert.isUndefined(yield* Effect.promise(() => live.event()))
  }).pipe(Effect.provide(layerServer())))
