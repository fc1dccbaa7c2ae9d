/**
 * The rules of RFC 9110 to 9112 for HTTP that no other test shows (docs/http.md).
 */
import { assert, layer } from "@effect/vitest"
import { freshName, offsetOf } from "../support/names.ts"
import { append, eventTexts, layerServer, talk } from "../support/served.ts"
import { exchange, json, request, Wire } from "../support/wire.ts"

/** IMF-fixdate (RFC 9110 5.6.7). */
const date = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/

layer(layerServer(), { excludeTestServices: true })("HTTP", (it) => {
  it.effect("has a Date in every answer, whatever its status", () =>
    talk(async (port) => {
      for (
        const [status, bytes] of [
          [200, request("GET", "/health")],
          [404, request("GET", "/nothing")],
          [405, request("POST", "/health")],
          [400, Buffer.from("hello\r\n\r\n")],
          [501, Buffer.from("BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n")],
          [417, request("POST", "/streams/x", { ...json, Expect: "nothing" }, "{}")]
        ] as const
      ) {
        const reply = await exchange(port, bytes)
        assert.strictEqual(reply.status, status)
        assert.match(reply.headers["date"] ?? "none", date)
      }
    }))

  it.effect("says to HEAD the same as to GET, sends no body, and no length other than that of GET", () =>
    talk(async (port) => {
      const name = freshName()
      await append(port, name, "1")
      for (
        const target of [
          `/v1/stream/${name}`,
          `/streams/${name}/events`,
          "/streams",
          "/health",
          "/openapi.json",
          "/docs",
          "/nothing",
          `/streams/${name}?offset=-1`
        ]
      ) {
        const wire = (await Wire.open(port)).send(request("HEAD", target))
        const head = await wire.reply("HEAD")
        const length = head.headers["content-length"]
        const get = await wire.send(request("GET", target)).head()
        assert.strictEqual(head.status, get.status, target)
        assert.strictEqual(head.headers["content-type"], get.headers["content-type"], target)
        // The health of the server changes with each request.
        if (length !== undefined && target !== "/health") {
          assert.strictEqual(length, get.headers["content-length"], target)
        }
        wire.close()
      }
      assert.isUndefined((await exchange(port, request("HEAD", `/v1/stream/${name}`))).headers["content-length"])
    }))

  it.effect("sends neither a body nor a length with 204 and 304", () =>
    talk(async (port) => {
      const name = freshName()
      await append(port, name, "1")
      const { headers } = await exchange(port, request("GET", `/v1/stream/${name}?offset=-1`))
      const same = request("GET", `/v1/stream/${name}?offset=-1`, { "If-None-Match": headers["etag"]! })
      for (
        const [status, bytes] of [
          [304, same],
          [204, request("POST", `/v1/stream/${name}`, json, "2")],
          [204, request("OPTIONS", "/streams")],
          [204, request("DELETE", `/streams/${name}`)]
        ] as const
      ) {
        const wire = (await Wire.open(port)).send(bytes)
        const reply = await wire.head()
        assert.strictEqual(reply.status, status)
        assert.isUndefined(reply.headers["content-length"])
        assert.isUndefined(reply.headers["transfer-encoding"])
        assert.strictEqual((await wire.send(request("GET", "/health")).reply()).status, 200)
        wire.close()
      }
    }))

  it.effect("of version 1.0 is answered without chunks, and the connection ends", () =>
    talk(async (port) => {
      const name = freshName()
      for (let i = 0; i < 3; i++) await append(port, name, `"${"x".repeat(600_000)}"`)
      for (const target of ["/health", `/streams/${name}/events`, `/v1/stream/${name}?offset=-1`]) {
        const wire = (await Wire.open(port)).send(`GET ${target} HTTP/1.0\r\n\r\n`)
        const reply = await wire.reply()
        assert.strictEqual(reply.status, 200)
        assert.isUndefined(reply.headers["transfer-encoding"])
        JSON.parse(reply.body.toString())
        assert.isTrue(await wire.ended())
      }
    }))

  it.effect("obeys quality values: 0 means no, and the better liked type wins", () =>
    talk(async (port) => {
      const name = freshName()
      await append(port, name, "1")
      for (
        const [accept, isLines] of [
          ["application/x-ndjson", true],
          ["APPLICATION/X-NDJSON;q=0.5", true],
          ["text/html, application/x-ndjson", true],
          ["application/x-ndjson, */*", true],
          ["application/json;q=0.3, application/x-ndjson ; q=0.7", true],
          ["application/x-ndjson;q=0, */*", false],
          ["application/x-ndjson;q=0.000", false],
          ["application/x-ndjson;q=0.5, application/json", false],
          ["application/x-ndjson;q=0.5, */*", false],
          ["application/x-ndjsonx", false],
          ["*/*", false]
        ] as const
      ) {
        const { headers } = await exchange(port, request("GET", `/streams/${name}/events`, { Accept: accept }))
        assert.strictEqual(headers["content-type"]?.startsWith("application/x-ndjson"), isLines, accept)
      }
    }))

  it.effect("ignores an empty line before a request", () =>
    talk(async (port) => {
      const wire = (await Wire.open(port)).send("\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n")
      assert.strictEqual((await wire.reply()).status, 200)
      assert.strictEqual((await wire.send(request("GET", "/health")).reply()).status, 200)
      wire.close()
    }))

  it.effect("answers TRACE and OPTIONS with the allowed methods, and nothing of the request", () =>
    talk(async (port) => {
      const trace = await exchange(port, request("TRACE", "/health", { "X-Secret": "hidden" }))
      assert.strictEqual(trace.status, 405)
      assert.notInclude(trace.body.toString(), "hidden")
      const { headers, status } = await exchange(port, request("OPTIONS", "/streams/x"))
      assert.strictEqual(status, 204)
      assert.strictEqual(headers["allow"], "POST, GET, HEAD, DELETE, OPTIONS")
    }))

  it.effect("names a scheme with 401, and the allowed methods with 405, even for subscriptions", () =>
    talk(async (port) => {
      const path = "/v1/stream/__ds/subscriptions/x"
      const unauthorised = await exchange(port, request("POST", `${path}/ack`, json, "{}"))
      assert.strictEqual(unauthorised.status, 401)
      assert.strictEqual(unauthorised.headers["www-authenticate"], "Bearer")
      const wrong = await exchange(port, request("POST", path, json, "{}"))
      assert.strictEqual(wrong.status, 405)
      assert.strictEqual(wrong.headers["allow"], "GET, HEAD, PUT, DELETE")
    }))

  it.effect("says how many headers there may be when it refuses too many", () =>
    talk(async (port) => {
      const { body, status } = await exchange(port, request("GET", "/health", { Cookie: "a".repeat(20_000) }))
      assert.strictEqual(status, 431)
      assert.include(body.toString(), "larger than 16 KiB")
    }))

  it.effect("takes a time whose + was not escaped", () =>
    talk(async (port) => {
      const name = freshName()
      await append(port, name, "1")
      for (
        const [since, count] of [
          ["2020-01-01T00:00:00+02:00", 1],
          ["2020-01-01T00:00:00%2B02:00", 1],
          ["2020-01-01+00:00:00+02:00", 1],
          ["2120-01-01T00:00:00+02:00", 0]
        ] as const
      ) {
        const { body, status } = await exchange(port, request("GET", `/streams/${name}/events?since=${since}`))
        assert.strictEqual(status, 200, body.toString())
        assert.strictEqual((JSON.parse(body.toString()) as { readonly events: Array<unknown> }).events.length, count)
      }
      assert.strictEqual((await eventTexts(port, name)).length, 1)
      assert.include(await append(port, name, "2"), offsetOf(1))
    }))
})
