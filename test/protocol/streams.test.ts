/**
 * The Durable Streams Protocol and the native API are two views of the same streams: names, offsets, data, refusals
 * (docs/protocol.md 8 to 11). These tests do not repeat the public conformance suite.
 */
import { assert, layer } from "@effect/vitest"
import { freshName, offsetOf } from "../support/names.ts"
import { append, eventTexts, layerServer, listStreams, post as postNative, talk, urlOf } from "../support/served.ts"
import { closing, get, head, json, post, put, putText, remove, text } from "../support/speaking.ts"
import { exchange, request } from "../support/wire.ts"

for (const storage of ["memory", "fs"] as const) {
  layer(layerServer({ storage }), { excludeTestServices: true })(`streams of the protocol (${storage})`, (it) => {
    it.effect("can be listed and read natively, under the same offsets", () =>
      talk(async (port) => {
        const name = freshName()
        const made = await put(port, name, json, "[1,2]")
        assert.strictEqual(made.headers.get("stream-next-offset"), offsetOf(2))
        assert.include(await listStreams(port), name)
        const appended = await append(port, name, "3")
        assert.include(appended, `"offset":"${offsetOf(2)}"`)
        const texts = await eventTexts(port, name)
        assert.deepStrictEqual(texts.map((text) => (JSON.parse(text) as { readonly data: unknown }).data), [1, 2, 3])
        const rest = await get(port, name, "?offset=1")
        assert.strictEqual(await rest.text(), "[2,3]")
        assert.strictEqual(rest.headers.get("stream-next-offset"), offsetOf(3))
        const native = await fetch(`${urlOf(port, name)}/events?offset=${rest.headers.get("stream-next-offset")}`)
        assert.strictEqual(await native.text(), `{"events":[]}`)
      }))

    it.effect("of the native API are JSON streams here, and a closing here closes them there", () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, `{"a": 1}`)
        const answer = await get(port, name)
        assert.strictEqual(answer.headers.get("content-type"), "application/json")
        assert.strictEqual(await answer.text(), `[{"a": 1}]`)
        assert.strictEqual((await post(port, name, closing)).status, 204)
        const refused = await postNative(port, name, `{"data":2}`)
        assert.strictEqual(refused.status, 409)
        assert.strictEqual(refused.headers.get("stream-closed"), "true")
        assert.strictEqual(refused.headers.get("stream-next-offset"), offsetOf(1))
      }))

    it.effect("Promise 8: keep messages and answer them as the text that was sent", () =>
      talk(async (port) => {
        const name = freshName()
        const sent = [`12345678901234567890.10`, `{"b":1, "a":2,"b":3}`, `"\\u00e9é\\/"`, `-0.0`, `1E+2`]
        await put(port, name, json, `[${sent.slice(0, 2).join(" , ")}]`)
        await post(port, name, json, `  [${sent.slice(2).join(",")}] `)
        assert.strictEqual(await (await get(port, name)).text(), `[${sent.join(",")}]`)
      }))

    it.effect("of bytes that are no text answer the same bytes, and are base64 natively", () =>
      talk(async (port) => {
        const name = freshName()
        const pieces = [[0xff, 0xfe, 0x00], [0x22, 0x5c, 0x0a, 0x7f], [0xc3], [0xa9]].map((all) => new Uint8Array(all))
        await put(port, name)
        for (const piece of pieces) await post(port, name, { "content-type": "application/octet-stream" }, piece)
        const all = new Uint8Array(await (await get(port, name)).arrayBuffer())
        assert.deepStrictEqual([...all], pieces.flatMap((piece) => [...piece]))
        const first = JSON.parse((await eventTexts(port, name))[0]!) as { readonly data: unknown }
        assert.deepStrictEqual(first.data, { base64: "//4A" })
      }))

    it.effect("Promise 12: have names that are the raw rest of the path, decoded once", () =>
      talk(async (port) => {
        const names = ["a/%2e%2e/b", "a%2Fb/c", "a//b", "../x", "%252F", "caf%C3%A9", "a/", "__dsx"]
        for (const path of names) {
          const made = await exchange(port, request("PUT", `/v1/stream/${path}`, text))
          assert.strictEqual(made.status, 201, path)
          assert.strictEqual(made.headers["location"], `http://localhost/v1/stream/${path}`)
        }
        const listed = await listStreams(port)
        assert.includeMembers([...listed], names.map((path) => decodeURIComponent(path)))
        assert.strictEqual((await exchange(port, request("HEAD", "/v1/stream/a/b%2Fc"))).status, 200)
        for (const [path, status] of [["", 404], ["%ff", 400], ["%0a", 400], ["a%", 400]] as const) {
          const answer = await exchange(port, request("PUT", `/v1/stream/${path}`, text))
          assert.strictEqual(answer.status, status, path)
          assert.strictEqual(answer.headers["content-type"], "application/problem+json")
        }
        assert.strictEqual((await exchange(port, request("GET", "/v1/stream"))).status, 404)
      }))

    it.effect("cannot have names below __ds, here and natively", () =>
      talk(async (port) => {
        for (const path of ["__ds", "__ds/x", "__ds%2Fx", "%5F_ds/x"]) {
          for (const method of ["PUT", "POST", "GET", "HEAD", "DELETE"]) {
            assert.strictEqual((await exchange(port, request(method, `/v1/stream/${path}`))).status, 404, path)
          }
          const native = `/streams/${encodeURIComponent(decodeURIComponent(path))}`
          assert.strictEqual((await exchange(port, request("DELETE", native))).status, 400, native)
        }
        const forked = await put(port, freshName(), { "stream-forked-from": "/v1/stream/__ds/x" })
        assert.strictEqual(forked.status, 400)
      }))

    it.effect("have our additions to the protocol in every answer, and refusals are problems", () =>
      talk(async (port) => {
        const name = freshName()
        const answers = [
          await put(port, name, text, "a"),
          await get(port, name),
          await head(port, name),
          await post(port, name, json, "{}"),
          await get(port, name, "?offset=x"),
          await get(port, freshName()),
          await remove(port, name)
        ]
        assert.deepStrictEqual(answers.map(({ status }) => status), [201, 200, 200, 409, 400, 404, 204])
        for (const { headers, status } of answers) {
          assert.strictEqual(
            headers.get("stream-extensions"),
            "limit, tail, since, last-event-id, ping, if-match, life"
          )
          if (status >= 400) assert.strictEqual(headers.get("content-type"), "application/problem+json")
        }
        const allowed = await exchange(port, request("PATCH", `/v1/stream/${name}`))
        assert.strictEqual(allowed.headers["allow"], "PUT, POST, GET, HEAD, DELETE, OPTIONS")
      }))

    it.effect("refuse malformed headers with 400, and keep nothing of the request", () =>
      talk(async (port) => {
        const name = freshName()
        const bad: ReadonlyArray<Readonly<Record<string, string>>> = [
          { "stream-ttl": "" },
          { "stream-ttl": "9007199254740992" },
          { "stream-expires-at": "2026-01-08" },
          { "stream-expires-at": "tomorrow" },
          { "stream-expires-at": "2030-02-30T00:00:00Z" },
          { "stream-expires-at": "2030-01-08T24:00:00Z" },
          { "stream-expires-at": "2030-01-08T09:00:60Z" },
          { "stream-expires-at": "2030-01-08 09:00:00Z" },
          { "stream-expires-at": "2030-01-08T09:00:00.0123456789Z" },
          { "stream-fork-offset": "0" },
          { "stream-forked-from": "/streams/a" },
          { "stream-forked-from": "/v1/stream/" },
          { "stream-forked-from": "/v1/stream/%ff" },
          { "stream-forked-from": "/v1/stream/a", "stream-fork-offset": "now" },
          { "stream-forked-from": "/v1/stream/a", "stream-fork-offset": "0_1" },
          { "content-type": "nonsense" },
          { "content-type": "text/plain\u00e9" }
        ]
        for (const headers of bad) {
          assert.strictEqual((await put(port, name, headers)).status, 400, JSON.stringify(headers))
        }
        assert.strictEqual((await put(port, name, { ...json, "content-encoding": "gzip" }, "[]")).status, 415)
        assert.strictEqual((await head(port, name)).status, 404)
        await put(port, name, text)
        for (
          const headers of [
            { "producer-id": "p" },
            { "producer-id": "", "producer-epoch": "0", "producer-seq": "0" },
            { "producer-id": "p", "producer-epoch": "-1", "producer-seq": "0" },
            { "producer-id": "p", "producer-epoch": "0", "producer-seq": "01" },
            { "if-match": "x" }
          ]
        ) {
          assert.strictEqual(
            (await post(port, name, { ...text, ...headers }, "a")).status,
            400,
            JSON.stringify(headers)
          )
        }
        assert.strictEqual((await head(port, name)).headers.get("stream-next-offset"), offsetOf(0))
      }))

    it.effect("that are closed tell their writer so, whatever else is wrong", () =>
      talk(async (port) => {
        const name = freshName()
        await put(port, name, { ...json, ...closing }, "[1]")
        const producer = { "producer-id": "p", "producer-epoch": "0", "producer-seq": "7" }
        for (
          const [headers, body] of [[text, "a"], [json, "not JSON"], [{ ...json, ...producer }, "2"], [json, "[]"], [{
            ...json,
            "stream-seq": "a"
          }, "3"]] as const
        ) {
          const refused = await post(port, name, headers, body)
          assert.strictEqual(refused.status, 409, body)
          assert.strictEqual(refused.headers.get("stream-closed"), "true")
          assert.strictEqual(refused.headers.get("stream-next-offset"), offsetOf(1))
        }
      }))

    it.effect("take an append with If-Match only at the tail, and the refusal names the tail", () =>
      talk(async (port) => {
        const name = freshName()
        await put(port, name, text, "a")
        assert.strictEqual((await post(port, name, { ...text, "if-match": offsetOf(1) }, "b")).status, 204)
        const refused = await post(port, name, { ...text, "if-match": `"1"` }, "c")
        assert.strictEqual(refused.status, 412)
        assert.strictEqual(refused.headers.get("stream-next-offset"), offsetOf(2))
        assert.isNull(refused.headers.get("producer-expected-seq"))
        assert.strictEqual(await (await get(port, name)).text(), "ab")
      }))

    it.effect("refuse data that is too deep or too large, and the server never fails of it", () =>
      talk(async (port) => {
        const name = freshName()
        await put(port, name, json)
        const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
        assert.strictEqual((await post(port, name, json, deep)).status, 204)
        assert.strictEqual(await (await get(port, name)).text(), deep)
        assert.strictEqual((await post(port, name, json, deep.slice(1))).status, 400)
        assert.strictEqual((await post(port, name, json, `"${"a".repeat(1024 * 1024)}"`)).status, 413)
      }))

    it.effect("that are forks with a body and no type have their source's type", () =>
      talk(async (port) => {
        const [source, fork, other] = [freshName(), freshName(), freshName()]
        await put(port, source, json, `[1,2]`)
        const from = { "Stream-Forked-From": `/v1/stream/${source}` }
        const made = await exchange(port, request("PUT", `/v1/stream/${fork}`, from, "[3,[4]]"))
        assert.strictEqual(made.status, 201)
        assert.strictEqual(made.headers["content-type"], "application/json")
        assert.strictEqual(await (await get(port, fork)).text(), "[1,2,3,[4]]")
        const missing = { "Stream-Forked-From": "/v1/stream/nobody" }
        assert.strictEqual((await exchange(port, request("PUT", `/v1/stream/${other}`, missing, "x"))).status, 404)
      }))

    it.effect("answer a HEAD with the values that PUT was given", () =>
      talk(async (port) => {
        const name = freshName()
        const expiresAt = "2099-01-01T00:00:00+02:00"
        const made = await put(port, name, {
          "content-type": "Text/Plain; charset=utf-8",
          "stream-expires-at": expiresAt
        })
        const asked = await head(port, name)
        for (const { headers } of [made, asked]) {
          assert.strictEqual(headers.get("content-type"), "Text/Plain; charset=utf-8")
          assert.strictEqual(headers.get("stream-expires-at"), expiresAt)
          assert.isNull(headers.get("stream-ttl"))
          assert.isNull(headers.get("stream-closed"))
        }
        assert.strictEqual(asked.headers.get("cache-control"), "no-store")
        await putText(port, name, "a")
        assert.strictEqual((await head(port, name)).headers.get("stream-next-offset"), offsetOf(1))
      }))
  })
}
