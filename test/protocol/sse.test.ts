/**
 * Following with `live=sse` (docs/protocol.md 14), frame by frame over bare sockets.
 */
import { assert, it, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { cursorOf } from "../../src/protocol/cursor.ts"
import { freshName, offsetOf } from "../support/names.ts"
import { append, appendNumbers, layerServer, talk } from "../support/served.ts"
import { closing, head, json, Live, post, put, putText, remove, text } from "../support/speaking.ts"

for (const storage of ["memory", "fs"] as const) {
  layer(layerServer({ storage }), { excludeTestServices: true })(`following by the protocol (${storage})`, (it) => {
    it.effect("a batch is one data and one control event, both with the next offset", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 3)
        const live = await Live.open(port, name, "offset=1")
        assert.strictEqual(live.headers["content-type"], "text/event-stream")
        assert.strictEqual(live.headers["cache-control"], "no-cache, no-store")
        assert.strictEqual(live.headers["x-accel-buffering"], "no")
        assert.isUndefined(live.headers["stream-sse-data-encoding"])
        assert.deepStrictEqual(await live.event(), { type: "data", id: offsetOf(3), data: "[1,2]" })
        const control = await live.event()
        assert.strictEqual(control?.id, offsetOf(3))
        assert.match(
          control!.data,
          new RegExp(`^{"streamNextOffset":"${offsetOf(3)}","streamCursor":"\\d+","upToDate":true}$`)
        )
        await append(port, name, `{"a": 1.00}`)
        assert.strictEqual((await live.batch()).data, `[{"a": 1.00}]`)
        live.close()
      }))

    it.effect("a follower with nothing to catch up gets a control event at once", () =>
      talk(async (port) => {
        const name = freshName()
        await putText(port, name, "old")
        for (const offset of ["now", "1"]) {
          const live = await Live.open(port, name, `offset=${offset}`)
          const { control, data } = await live.batch()
          assert.isUndefined(data)
          assert.strictEqual(control.streamNextOffset, offsetOf(1))
          assert.isTrue(control.upToDate)
          live.close()
        }
      }))

    it.effect("Promise 4: Last-Event-ID resumes after the last seen event, and wins over the offset", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 2)
        const first = await Live.open(port, name, "offset=-1")
        const seen = (await first.event())!.id
        first.close()
        await append(port, name, "2")
        const again = await Live.open(port, name, "offset=-1", { "Last-Event-ID": seen })
        assert.strictEqual((await again.batch()).data, "[2]")
        again.close()
        assert.strictEqual((await Live.open(port, name, "offset=-1", { "Last-Event-ID": "x" })).status, 400)
      }))

    it.effect("a line of text is a data line, whatever ends it and whatever begins it", () =>
      talk(async (port) => {
        const name = freshName()
        await putText(port, name, "  a\r\n\r\nevent: control\rdata: {}\n", " b\n")
        const live = await Live.open(port, name, "offset=-1")
        assert.strictEqual((await live.batch()).data, "  a\n\nevent: control\ndata: {}\n b\n")
        live.close()
      }))

    it.effect("a character that was cut in two arrives whole", () =>
      talk(async (port) => {
        const name = freshName()
        const euro = Buffer.from("1€2😀3")
        await putText(port, name, "a")
        const live = await Live.open(port, name, "offset=-1")
        await live.batch()
        let data = ""
        // One byte at a time: the server sends only whole characters.
        for (const byte of euro) await post(port, name, text, new Uint8Array([byte]))
        while (data.length < "1€2😀3".length) {
          const batch = await live.batch()
          data += batch.data ?? ""
          assert.strictEqual(Buffer.byteLength(data), Number(batch.control.streamNextOffset) - 1)
        }
        assert.strictEqual(data, "1€2😀3")
        live.close()
      }))

    it.effect("half a character is sent after all if no writer completes it", () =>
      talk(async (port) => {
        const name = freshName()
        await putText(port, name, "a", new Uint8Array([0xe2, 0x82]))
        const live = await Live.open(port, name, "offset=-1")
        const whole = await live.batch()
        assert.strictEqual(whole.data, "a")
        assert.isUndefined(whole.control.upToDate)
        const half = await live.batch()
        assert.strictEqual(half.data, "\ufffd")
        assert.isTrue(half.control.upToDate)
        live.close()

        const closed = await Live.open(port, name, "offset=1")
        await post(port, name, closing)
        const last = await closed.batch()
        assert.strictEqual(last.data, "\ufffd")
        assert.isTrue(last.control.streamClosed)
        assert.isUndefined(await closed.event())
      }))

    it.effect("bytes are base64, and the header says so", () =>
      talk(async (port) => {
        const name = freshName()
        await put(port, name, { "content-type": "image/png" }, new Uint8Array([0xff, 0x0a, 0x00]))
        const live = await Live.open(port, name, "offset=-1")
        assert.strictEqual(live.headers["stream-sse-data-encoding"], "base64")
        assert.strictEqual((await live.batch()).data, "/woA")
        live.close()
      }))

    it.effect("a final append that closes the stream is sent, and the answer ends", () =>
      talk(async (port) => {
        const name = freshName()
        await put(port, name, json, "[0]")
        const live = await Live.open(port, name, "offset=now")
        assert.isUndefined((await live.batch()).data)
        await post(port, name, { ...json, ...closing }, "[1,2]")
        const { control, data } = await live.batch()
        assert.strictEqual(data, "[1,2]")
        assert.deepStrictEqual(control, { streamNextOffset: offsetOf(3), upToDate: true, streamClosed: true })
        assert.isUndefined(await live.event())
      }))

    it.effect("a closing alone ends the answer with a control event, a deletion with a problem", () =>
      talk(async (port) => {
        const [closed, deleted] = [freshName(), freshName()]
        for (const name of [closed, deleted]) await putText(port, name, "a")
        const lives = await Promise.all([closed, deleted].map((name) => Live.open(port, name, "offset=-1")))
        for (const live of lives) await live.batch()
        await post(port, closed, closing)
        await remove(port, deleted)
        const { control, data } = await lives[0]!.batch()
        assert.isUndefined(data)
        assert.isTrue(control.streamClosed)
        assert.isUndefined(await lives[0]!.event())
        const told = await lives[1]!.event()
        assert.deepStrictEqual([told?.type, told?.id], ["problem", "-1"])
        assert.include(told?.data, "urn:durable-streams:StreamDeleted")
        assert.isUndefined(await lives[1]!.event())
        assert.strictEqual((await Live.open(port, deleted, "offset=1")).status, 404)
      }))

    it.effect("Promise 4: followers at one place and at several get the same events, once each", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 5)
        const life = (await head(port, name)).headers.get("stream-life")!
        const ahead = cursorOf(Date.now() + 86_400_000, life)
        const lives = await Promise.all(
          Array.from(
            { length: 20 },
            (_, i) => Live.open(port, name, `offset=${i % 6}${i % 3 === 0 ? `&cursor=${ahead}` : ""}`)
          )
        )
        const following = lives.map(async (live, i) => {
          const seen: Array<number> = []
          let next = i % 6
          while (next < 60) {
            const { control, data } = await live.batch()
            if (data !== undefined) seen.push(...JSON.parse(data) as ReadonlyArray<number>)
            next = Number(control.streamNextOffset)
            assert.strictEqual(seen.length, next - i % 6)
            if (i % 3 === 0) assert.isAbove(Number(control.streamCursor), ahead)
            else assert.isBelow(Number(control.streamCursor), ahead)
          }
          live.close()
          return seen
        })
        for (let i = 5; i < 60; i++) await append(port, name, String(i))
        for (const [i, seen] of (await Promise.all(following)).entries()) {
          assert.deepStrictEqual(seen, Array.from({ length: 60 - i % 6 }, (_, at) => at + i % 6))
        }
      }))
  })
}

it.effect("an answer is kept alive by comments, and ends by itself after a minute", () =>
  talk(async (port) => {
    const name = freshName()
    await putText(port, name, "a")
    const live = await Live.open(port, name, "offset=-1")
    await live.batch()
    return { live, name, port }
  }).pipe(
    Effect.flatMap(Effect.fnUntraced(function*({ live, name, port }) {
      for (let i = 0; i < 3; i++) {
        yield* TestClock.adjust("15 seconds")
        const comment = yield* Effect.promise(() => live.event())
        assert.strictEqual(comment?.type, "")
      }
      yield* TestClock.adjust("14 seconds")
      yield* Effect.promise(() => post(port, name, text, "b"))
      assert.strictEqual((yield* Effect.promise(() => live.batch())).data, "b")
      const end = yield* Effect.forkChild(Effect.promise(async () => {
        let event = await live.event()
        while (event?.type === "") event = await live.event()
        return event
      }))
      yield* TestClock.adjust("7 seconds")
      assert.isUndefined(yield* Fiber.join(end))
    })),
    Effect.provide(layerServer())
  ))
