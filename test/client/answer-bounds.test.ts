/**
 * The bounds of an answer that the client reads, piece by piece, on a clock of the test's own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { TestClock } from "effect/testing"
import { eventCharactersMax, isEventText, linesOf } from "../../src/client/answer-bounds.ts"
import { makeClient } from "../../src/client/client.ts"
import { follow } from "../../src/client/follow.ts"
import { namesOf } from "../../src/client/name-list.ts"
import { sliceEvent } from "../../src/domain/types.ts"

const url = "http://127.0.0.1:1"

/** Answers every request this way. */
const answering = (answer: () => Effect.Effect<Response>) =>
  Effect.provideService(
    HttpClient.HttpClient,
    HttpClient.make((request) => Effect.map(answer(), (response) => HttpClientResponse.fromWeb(request, response)))
  )

/** The same text in pieces of each length. */
const pieces = (text: string) =>
  Array.from(
    { length: 12 },
    (_, i) =>
      Array.from({ length: Math.ceil(text.length / (i + 1)) }, (_, k) => text.slice(k * (i + 1), (k + 1) * (i + 1)))
  )

const read = (parts: ReadonlyArray<string>) =>
  Stream.runCollect(namesOf(Stream.fromIterable(parts), () => "malformed" as const)).pipe(
    Effect.catch((error) => Effect.succeed(error))
  )

const lines = (parts: ReadonlyArray<string>) =>
  Stream.runCollect(
    linesOf(Stream.fromIterable(parts), Effect.fail("asked" as const), () => "too large" as const)
  )

/** An event as our server writes it. */
const eventText = (name: string, data: string) =>
  `{"offset":"0000000000000007","eventStreamId":${
    JSON.stringify(name)
  },"data":${data},"createdAt":"2026-01-08T09:00:00.000Z"}`

describe("a server that takes its time for ever", () => {
  it.effect("is given up after two minutes if it begins no answer", () =>
    Effect.gen(function*() {
      const client = makeClient(url)
      for (
        const ask of [client.health, client.append("a", "1"), client.delete("a"), Stream.runDrain(client.names({}))]
      ) {
        const asked = yield* Effect.forkChild(Effect.flip(Effect.asVoid(ask)))
        yield* TestClock.adjust("119 seconds")
        assert.isUndefined(asked.pollUnsafe())
        yield* TestClock.adjust("1 second")
        const error = yield* Fiber.join(asked)
        assert.strictEqual(
          error.message,
          `What answers at ${url} takes longer than any server of this kind; what was asked may have been done, or not. ` +
            "Check the address (DURABLE_STREAMS_URL)."
        )
      }
    }).pipe(answering(() => Effect.never)))

  it.effect("is given up after two minutes if a short answer drips, or a long one stops", () =>
    Effect.gen(function*() {
      const drip = Stream.fromEffectRepeat(Effect.as(Effect.sleep("1 second"), Uint8Array.of(0x20)))
      const body = yield* Stream.toReadableStreamEffect(drip)
      const asked = yield* makeClient(url).health.pipe(
        answering(() => Effect.succeed(new Response(body, { headers: { "content-type": "application/json" } }))),
        Effect.flip,
        Effect.forkChild
      )
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* Fiber.join(asked))._tag, "ServerUnreachable")

      const stopped = yield* Stream.runDrain(makeClient(url).events("a", {})).pipe(
        answering(() =>
          Effect.succeed(new Response(new ReadableStream(), { headers: { "content-type": "application/x-ndjson" } }))
        ),
        Effect.flip,
        Effect.forkChild
      )
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* Fiber.join(stopped))._tag, "ServerUnreachable")
    }))

  it.effect("counts as lost by a follower after a minute of silence: keep-alives come every 15 seconds", () =>
    Effect.gen(function*() {
      let lost = 0
      const connected = yield* Deferred.make<void>()
      const following = yield* follow("a", {
        start: {},
        locate: Effect.succeed(url),
        onLost: Effect.sync(() => void lost++),
        onConnected: () => Effect.asVoid(Deferred.succeed(connected, undefined))
      }).pipe(
        Stream.runDrain,
        answering(() =>
          Effect.succeed(
            new Response(new ReadableStream(), {
              headers: { "content-type": "text/event-stream; charset=utf-8", "stream-next-offset": "0000000000000000" }
            })
          )
        ),
        Effect.forkChild
      )
      yield* Deferred.await(connected)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(lost, 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(lost, 1)
      yield* Fiber.interrupt(following)
    }))
})

describe("an answer that arrives in pieces", () => {
  it.effect("is a list of names, or none, however it is cut", () =>
    Effect.gen(function*() {
      const good: ReadonlyArray<ReadonlyArray<string>> = [
        [],
        ["a"],
        ["a", "b\"]}", "\\", "\\\"", "ü\u{1f600}", "__proto__", "x".repeat(3000)]
      ]
      for (const streams of good) {
        for (const text of [JSON.stringify({ streams }), JSON.stringify({ streams }, null, 2)]) {
          for (const parts of pieces(text)) assert.deepStrictEqual(yield* read(parts), [...streams])
        }
      }
      const bad = [
        "",
        "[]",
        `{"streams":[`,
        `{"streams":["a"]`,
        `{"streams":["a"]}{`,
        `{"streams":[1]}`,
        `{"streams":["\u0001"]}`,
        `{"streams":["a`,
        `${" ".repeat(5000)}{"streams":[]`,
        `{"streams":["${"x".repeat(100_000)}"]}`
      ]
      for (const text of bad) {
        for (const parts of pieces(text).slice(4)) {
          assert.strictEqual(yield* read(parts), "malformed", text.slice(0, 40))
        }
      }
    }))

  it.effect("is lines; a line over the default limit makes the client ask the server for its own, and is refused beyond that", () =>
    Effect.gen(function*() {
      for (const parts of pieces("one\n\nthree\nlast")) {
        assert.deepStrictEqual(yield* lines(parts), ["one", "", "three", "last"])
      }
      const floor = eventCharactersMax()
      const large = "x".repeat(floor / 4)
      const most = yield* lines([large, large, large, large, "\n", "next"])
      assert.deepStrictEqual(most.map((line) => line.length), [floor, 4])
      const parts = [large, large, large, large, "x"]
      assert.strictEqual(yield* Effect.flip(lines(parts)), "asked")
      const bounded = (max: number) =>
        Stream.runCollect(linesOf(Stream.fromIterable(parts), Effect.succeed(max), () => "too large" as const))
      assert.strictEqual(yield* Effect.flip(bounded(floor)), "too large")
      assert.deepStrictEqual((yield* bounded(floor + 1)).map((line) => line.length), [floor + 1])
    }))
})

describe("an event's text", () => {
  it("has its parts at their places, or is none", () => {
    for (const name of ["a", `a"b`, "\\", "x".repeat(512), `","data":`]) {
      for (const data of ["null", `{"a":[1]}`, `"x"`, `{"data":","createdAt":"}`]) {
        assert.isTrue(isEventText(eventText(name, data)))
        assert.strictEqual(sliceEvent(eventText(name, data)).data, data)
      }
    }
    const good = eventText("a", "1")
    for (let end = 0; end < good.length; end++) assert.isFalse(isEventText(good.slice(0, end)))
    assert.isFalse(isEventText(eventText("", "1")))
    assert.isFalse(isEventText(eventText("a", "")))
    assert.isFalse(isEventText(good.replace("7", "x")))
  })
})
