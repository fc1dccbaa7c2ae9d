/**
 * Reading without following (docs/protocol.md 8, 12, 13): blocks, tags, caches, our additions, and long-polls.
 */
import { assert, layer } from "@effect/vitest"
import { freshName, offsetOf } from "../support/names.ts"
import { appendNumbers, layerServer, talk } from "../support/served.ts"
import { closing, get, json, post, put, putText, remove, text } from "../support/speaking.ts"
import { exchange, request } from "../support/wire.ts"

const fixed = "private, max-age=60, stale-while-revalidate=300"
const asked = "private, no-cache"

for (const storage of ["memory", "fs"] as const) {
  layer(layerServer({ storage, longPollMillis: 400 }), { excludeTestServices: true })(`reading (${storage})`, (it) => {
    it.effect("offsets are -1, now, 1 to 16 digits, and the written zero; all others are 400", () =>
      talk(async (port) => {
        const name = freshName()
        await putText(port, name, "a", "b")
        for (const offset of ["-1", "0", "0000000000000000", "0000000000000000_0000000000000000"]) {
          assert.strictEqual(await (await get(port, name, `?offset=${offset}`)).text(), "ab", offset)
        }
        for (const bad of ["", "0_0", "0000000000000000_0000000000000001", "-2", "1.0", "00000000000000001", "NOW"]) {
          assert.strictEqual((await get(port, name, `?offset=${bad}`)).status, 400, bad)
        }
        assert.strictEqual((await get(port, name, "?offset=0&offset=0")).status, 400)
        assert.strictEqual((await get(port, name, "?offset=0&live=yes")).status, 400)
      }))

    it.effect("Promise 10: an offset beyond the tail is refused, and the answer names the tail", () =>
      talk(async (port) => {
        const name = freshName()
        await putText(port, name, "a", "b")
        const life = (await get(port, name)).headers.get("stream-life")
        assert.match(life ?? "", /^[0-9a-f]{16}$/)
        for (const live of ["", "&live=long-poll", "&live=sse"]) {
          const answer = await get(port, name, `?offset=9${live}`)
          assert.strictEqual(answer.status, 410, live)
          assert.strictEqual(answer.headers.get("stream-next-offset"), offsetOf(2))
          assert.strictEqual(answer.headers.get("stream-life"), life)
          const problem = (await answer.json()) as Record<string, unknown>
          assert.strictEqual(problem["type"], "urn:durable-streams:OffsetBeyondTail")
          assert.deepStrictEqual([problem["offset"], problem["tail"], problem["life"]], [
            offsetOf(9),
            offsetOf(2),
            life
          ])
        }
        assert.strictEqual((await get(port, freshName(), "?offset=9")).status, 404)
      }))

    it.effect("an answer has all events to the tail, and is streamed if it is large", () =>
      talk(async (port) => {
        for (const [type, joined] of [["text/plain", ""], ["application/json", ","]] as const) {
          const name = freshName()
          const [source, piece] = [freshName(), "x".repeat(300_000)]
          const pieces = Array.from({ length: 24 }, (_, i) => joined === "" ? `${i}${piece}` : `"${i}${piece}"`)
          const headers = { "content-type": type }
          await put(port, source, headers)
          for (const piece of pieces.slice(0, 12)) await post(port, source, headers, piece)
          await put(port, name, { ...headers, "stream-forked-from": `/v1/stream/${source}` })
          for (const piece of pieces.slice(12)) await post(port, name, headers, piece)
          const whole = pieces.join(joined)
          const answer = await get(port, name)
          assert.isNull(answer.headers.get("content-length"))
          assert.isTrue(await answer.text() === (joined === "" ? whole : `[${whole}]`))
          assert.strictEqual(answer.headers.get("stream-next-offset"), offsetOf(24))
          assert.strictEqual(answer.headers.get("stream-up-to-date"), "true")
          const part = await get(port, name, "?offset=1&limit=20")
          const wanted = pieces.slice(1, 21).join(joined)
          assert.isTrue(await part.text() === (joined === "" ? wanted : `[${wanted}]`))
          assert.strictEqual(part.headers.get("stream-next-offset"), offsetOf(21))
          assert.isNull(part.headers.get("stream-up-to-date"))
          assert.strictEqual(part.headers.get("cache-control"), fixed)
        }
      }))

    it.effect("limit, tail and since choose the events of an answer, and the latest start counts", () =>
      talk(async (port) => {
        const name = freshName()
        await appendNumbers(port, name, 10)
        const body = async (query: string) => (await get(port, name, query)).text()
        const limited = await get(port, name, "?offset=2&limit=3")
        assert.strictEqual(await limited.text(), "[2,3,4]")
        assert.strictEqual(limited.headers.get("stream-next-offset"), offsetOf(5))
        assert.isNull(limited.headers.get("stream-up-to-date"))
        assert.strictEqual(limited.headers.get("cache-control"), fixed)
        assert.strictEqual(await body("?tail=3"), "[7,8,9]")
        assert.strictEqual(await body("?tail=3&limit=1"), "[7]")
        assert.strictEqual((await get(port, name, "?tail=3&limit=1")).headers.get("cache-control"), asked)
        assert.strictEqual(await body("?tail=3&offset=8"), "[8,9]")
        assert.strictEqual(await body("?tail=3&offset=now"), "[]")
        assert.strictEqual(await body("?since=1h&limit=2"), "[0,1]")
        assert.strictEqual(await body("?since=2099-01-01T00:00:00Z"), "[]")
        assert.strictEqual(await body("?offset=9&limit=5"), "[9]")
        for (const bad of ["?limit=0", "?tail=-1", "?since=soon"]) {
          assert.strictEqual((await get(port, name, bad)).status, 400)
        }
      }))

    it.effect("a tag fits until the stream grows, is closed, or is made anew", () =>
      talk(async (port) => {
        const name = freshName()
        const tagged = async (query = "") => {
          const answer = await get(port, name, query)
          return { tag: answer.headers.get("etag")!, text: await answer.text() }
        }
        const asking = async (tag: string) => (await get(port, name, "", { "if-none-match": tag })).status
        const tags: Array<string> = []
        await put(port, name, text, "a")
        tags.push((await tagged()).tag)
        await remove(port, name)
        await put(port, name, text, "a")
        tags.push((await tagged()).tag)
        await post(port, name, text, "b")
        tags.push((await tagged()).tag)
        await post(port, name, closing)
        const { tag } = await tagged()
        assert.strictEqual(new Set([...tags, tag]).size, 4)
        for (const old of tags) assert.strictEqual(await asking(old), 200)
        for (const fit of [tag, `W/${tag}`, `"other", ${tag}`, `${tags[0]},${tag}`, "*"]) {
          assert.strictEqual(await asking(fit), 304, fit)
        }
        assert.match(tag, /^"[^":,]+:0:2:c"$/)
        const same = await exchange(
          port,
          request("GET", `/v1/stream/${name}`, { "If-None-Match": tag, Connection: "close" })
        )
        assert.strictEqual(same.status, 304)
        assert.strictEqual(same.headers["etag"], tag)
        assert.strictEqual(same.headers["stream-closed"], "true")
        assert.strictEqual(same.headers["stream-next-offset"], offsetOf(2))
        assert.isUndefined(same.headers["content-length"])
      }))

    it.effect("a cache asks again for an answer that can change, and not for the end of a closed stream", () =>
      talk(async (port) => {
        const name = freshName()
        await put(port, name, json, "[1]")
        assert.strictEqual((await get(port, name)).headers.get("cache-control"), asked)
        const now = await get(port, name, "?offset=now", { "if-none-match": "*" })
        assert.strictEqual(now.status, 200)
        assert.strictEqual(now.headers.get("cache-control"), "no-store")
        assert.isNull(now.headers.get("etag"))
        await post(port, name, closing)
        const end = await get(port, name)
        assert.strictEqual(end.headers.get("cache-control"), fixed)
        assert.strictEqual(end.headers.get("content-security-policy"), "sandbox")
      }))

    it.effect("a long-poll is answered with the next events, once", () =>
      talk(async (port) => {
        const name = freshName()
        await put(port, name, text, "old")
        const waiting = get(port, name, "?offset=now&live=long-poll")
        await new Promise((resolve) => setTimeout(resolve, 100))
        await post(port, name, text, "new")
        const answer = await waiting
        assert.strictEqual(answer.status, 200)
        assert.strictEqual(await answer.text(), "new")
        assert.strictEqual(answer.headers.get("stream-next-offset"), offsetOf(2))
        assert.match(answer.headers.get("stream-cursor")!, /^\d+$/)
        const none = await get(port, name, `?offset=${offsetOf(2)}&live=long-poll`)
        assert.strictEqual(none.status, 204)
        assert.strictEqual(none.headers.get("stream-next-offset"), offsetOf(2))
        assert.strictEqual(none.headers.get("cache-control"), "no-store")
      }))

    it.effect("a final append that closes the stream reaches a waiting client, with its data", () =>
      talk(async (port) => {
        const name = freshName()
        await put(port, name, json)
        const waiting = get(port, name, "?offset=0&live=long-poll")
        await new Promise((resolve) => setTimeout(resolve, 100))
        await post(port, name, { ...json, ...closing }, "1")
        const answer = await waiting
        assert.strictEqual(answer.status, 200)
        assert.strictEqual(await answer.text(), "[1]")
        assert.strictEqual(answer.headers.get("stream-closed"), "true")
        const over = await get(port, name, "?offset=1&live=long-poll")
        assert.strictEqual(over.status, 204)
        assert.strictEqual(over.headers.get("stream-closed"), "true")
        assert.isNull(over.headers.get("stream-cursor"))
      }))

    it.effect("a closing alone and a deletion end a long-poll at once", () =>
      talk(async (port) => {
        const [closed, deleted] = [freshName(), freshName()]
        for (const name of [closed, deleted]) await put(port, name, text, "a")
        const waiting = [closed, deleted].map((name) => get(port, name, "?offset=1&live=long-poll"))
        await new Promise((resolve) => setTimeout(resolve, 50))
        await post(port, closed, closing)
        await remove(port, deleted)
        const [end, gone] = await Promise.all(waiting)
        assert.deepStrictEqual([end!.status, gone!.status], [204, 410])
        assert.strictEqual(end!.headers.get("stream-closed"), "true")
      }))
  })
}
