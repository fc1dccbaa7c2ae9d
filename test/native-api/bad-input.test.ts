/**
 * A request that cannot be accepted is refused with a problem that says why, and leaves nothing behind (promise 11);
 * input that is merely strange is kept as it came (promise 8).
 */
import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { badBodies, badMediaTypes, badNames, badParameters, type BadRequest } from "../support/bad-requests.ts"
import { freshName, offsetOf } from "../support/names.ts"
import { append, eventTexts, layerServer, listStreams, post, talk, urlOf } from "../support/served.ts"
import { exchange, json, type Reply, request, Wire } from "../support/wire.ts"

const bodyBytesMax = 1024 * 1024

/** Fails unless the problem follows RFC 9457 3.1 and its detail is one sentence. */
const assertProblem = (reply: Reply, status: number, type: string) => {
  assert.strictEqual(reply.status, status, reply.body.toString())
  assert.strictEqual(reply.headers["content-type"], "application/problem+json")
  const problem = JSON.parse(reply.body.toString()) as Record<string, unknown>
  assert.strictEqual(problem["type"], `urn:durable-streams:${type}`)
  assert.strictEqual(problem["status"], status)
  assert.isString(problem["title"])
  assert.match(String(problem["detail"]), /^[A-Z].{10,}/s)
}

for (const storage of ["memory", "fs"] as const) {
  layer(layerServer({ storage }), { excludeTestServices: true })(`bad input (${storage})`, (it) => {
    const refuses = (what: string, cases: ReadonlyArray<BadRequest>) => {
      for (const { bytes, status, title, type } of cases) {
        it.effect(
          `Promise 11: ${what} is refused with ${status}, and nothing is kept: ${title}`,
          () =>
            talk(async (port) => {
              const before = await listStreams(port)
              assertProblem(await exchange(port, bytes), status, type)
              assert.deepStrictEqual(await listStreams(port), before)
            }),
          5_000
        )
      }
    }

    refuses("a body that is not what it says", badBodies)
    refuses("a media type that is not JSON", badMediaTypes)
    refuses("a parameter or header that is none of the documented forms", badParameters)
    refuses("a name that is none", badNames)

    const ndjson = { "Content-Type": "application/x-ndjson" }
    const half = Buffer.alloc(bodyBytesMax / 2, "1")

    it.effect("Promise 11: a body one byte over the limit is refused with 413", () =>
      talk(async (port) => {
        const body = `{"data":"${"x".repeat(bodyBytesMax + 1 - `{"data":""}`.length)}"}`
        assert.strictEqual(body.length, bodyBytesMax + 1)
        assertProblem(await exchange(port, request("POST", "/streams/bad", json, body)), 413, "PayloadTooLarge")
        assert.notInclude(await listStreams(port), "bad")
      }))

    it.effect("Promise 11: a body announced as 600 MB is refused before it was sent, and the answer can be read", () =>
      talk(async (port) => {
        const wire = await Wire.open(port)
        wire.send(request("POST", "/streams/bad", { ...json, "Content-Length": "600000000" })).send(half)
        const reply = await wire.reply()
        assertProblem(reply, 413, "PayloadTooLarge")
        assert.include(reply.body.toString(), `"bytesMax":${bodyBytesMax}`)
        assert.strictEqual(reply.headers["connection"], "close")
        assert.isTrue(await wire.ended())
        assert.notInclude(await listStreams(port), "bad")
      }))

    it.effect("Promise 11: a chunked body is refused as soon as it passes the limit, and the answer can be read", () =>
      talk(async (port) => {
        const wire = await Wire.open(port)
        wire.send(request("POST", "/streams/bad", { ...json, "Transfer-Encoding": "chunked" }))
        for (let i = 0; i < 3; i++) wire.send(`${half.length.toString(16)}\r\n`).send(half).send("\r\n")
        const reply = await wire.reply()
        assertProblem(reply, 413, "PayloadTooLarge")
        assert.strictEqual(reply.headers["connection"], "close")
        assert.isTrue(await wire.ended())
        assert.notInclude(await listStreams(port), "bad")
      }))

    it.effect("Promise 11: a caller who asks first (Expect: 100-continue) is told 413 instead", () =>
      talk(async (port) => {
        const wire = await Wire.open(port)
        wire.send(request("POST", "/streams/bad", { ...json, Expect: "100-continue", "Content-Length": "600000000" }))
        assertProblem(await wire.reply(), 413, "PayloadTooLarge")
        assert.isTrue(await wire.ended())
      }))

    it.effect("Promise 11: a body of more events than one commit takes is refused as a whole", () =>
      talk(async (port) => {
        const most = 32_768
        const name = freshName()
        const lines = (count: number) =>
          exchange(port, request("POST", `/streams/${name}`, ndjson, "1\n".repeat(count)))
        assertProblem(await lines(most + 1), 400, "InvalidRequest")
        const messages = `[${"1,".repeat(most)}1]`
        assertProblem(await exchange(port, request("PUT", `/v1/stream/${name}`, json, messages)), 400, "InvalidRequest")
        assert.notInclude(await listStreams(port), name)
        assert.strictEqual((await lines(most)).status, 201)
        assert.strictEqual((await fetch(urlOf(port, name), { method: "DELETE" })).status, 204)
      }))

    it.effect("Promise 11: an endless NDJSON line is refused while it arrives", () =>
      talk(async (port) => {
        const wire = await Wire.open(port)
        wire.send(
          request("POST", "/streams/bad", { "Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked" })
        )
        for (let i = 0; i < 5; i++) wire.send(`${half.length.toString(16)}\r\n`).send(half).send("\r\n")
        assertProblem(await wire.reply(), 413, "PayloadTooLarge")
        assert.notInclude(await listStreams(port), "bad")
      }))

    it.effect("Promise 5: a caller who hangs up in the middle of a body has appended nothing", () =>
      talk(async (port) => {
        const wire = await Wire.open(port)
        wire.send(request("POST", "/streams/bad", { ...json, "Content-Length": "1000" })).send(`{"data":1}`)
        await exchange(port, request("GET", "/health"))
        wire.close()
        const [first] = await Promise.all([append(port, "good", "1"), listStreams(port)])
        assert.include(first, offsetOf(0))
        assert.deepStrictEqual(await listStreams(port), ["good"])
        assert.strictEqual((await fetch(urlOf(port, "good"), { method: "DELETE" })).status, 204)
      }))

    it.effect(
      "Promise 11: If-Match beyond the tail is 412 and names the tail, whatever the number",
      () =>
        talk(async (port) => {
          const name = freshName()
          await append(port, name, "1")
          for (const expected of ["0", "2", `"5"`, "9007199254740993", "9999999999999999"]) {
            const bytes = request("POST", `/streams/${name}`, { ...json, "If-Match": expected }, `{"data":2}`)
            const reply = await exchange(port, bytes)
            assertProblem(reply, 412, "TailMismatch")
            assert.include(reply.body.toString(), `"tail":"${offsetOf(1)}"`)
          }
          assert.strictEqual((await eventTexts(port, name)).length, 1)
        }),
      5_000
    )

    it.effect("Promise 10: the largest possible offset is beyond every tail, and the refusal gives it with 16 digits", () =>
      talk(async (port) => {
        const offset = "9".repeat(16)
        const path = `/streams/${freshName()}`
        const refused = await exchange(port, request("GET", `${path}?offset=${offset}`))
        assertProblem(refused, 410, "OffsetBeyondTail")
        const resumed = await exchange(port, request("GET", path, { "Last-Event-ID": offset }))
        assert.strictEqual(resumed.status, 200)
        for (const { body } of [refused, resumed]) {
          assert.match(body.toString(), /"offset":"9\d{15}","tail":"0{16}"/)
        }
      }))

    it.effect("an offset at the tail has no events, one beyond it is refused, and a limit of 10^12 is just large", () =>
      talk(async (port) => {
        const name = freshName()
        const event = await append(port, name, "1")
        const read = async (query: string) => await (await fetch(`${urlOf(port, name)}/events?${query}`)).text()
        assert.strictEqual(await read("limit=1000000000000"), `{"events":[${event}]}`)
        assert.strictEqual(await read("tail=1000000000000"), `{"events":[${event}]}`)
        assert.strictEqual(await read("offset=1"), `{"events":[]}`)
        for (const offset of ["2", "9999999999999999"]) {
          const answer = await fetch(`${urlOf(port, name)}/events?offset=${offset}`)
          assert.strictEqual(answer.status, 410)
          assert.strictEqual(answer.headers.get("stream-next-offset"), offsetOf(1))
        }
      }))
  })
}

layer(layerServer({ bodyBytesMax: 128 * 1024 * 1024 }), { excludeTestServices: true })("a large limit", (it) => {
  it.effect("takes a body within it, even if it is larger than the appends that may wait for the disk", () =>
    talk(async (port) => {
      const data = `"${"x".repeat(65 * 1024 * 1024)}"`
      const answer = await post(port, "large", `{"data":${data}}`)
      assert.strictEqual(answer.status, 201)
      await answer.body?.cancel()
    }))
})

it.effect("Promise 11: a corpus of at least 120 kinds of bad input", () =>
  Effect.sync(() => {
    const all = [...badBodies, ...badMediaTypes, ...badParameters, ...badNames]
    assert.isAtLeast(new Set(all.map(({ title }) => title)).size, 120)
  }))
