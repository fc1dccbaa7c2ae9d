/**
 * Requests that are broken or hostile below the level of routes, over bare sockets: every one has an answer, and the next
 * request on the connection is never misread (promise 11).
 */
import { assert, layer } from "@effect/vitest"
import { append, eventTexts, freshName, layerServer, listStreams, offsetOf, talk } from "../durable-streams/served.ts"
import { exchange, request, Wire } from "./wire.ts"

const body = `{"data":"smuggled"}`
const json = "Content-Type: application/json\r\n"
const host = "Host: localhost\r\n"
const post = `POST /streams/bad HTTP/1.1\r\n${host}${json}`

interface Case {
  readonly title: string
  readonly bytes: string | Uint8Array
  readonly status: number
  readonly allow?: string
}

const statuses = (status: number, cases: ReadonlyArray<readonly [title: string, bytes: string | Uint8Array]>) =>
  cases.map(([title, bytes]): Case => ({ title, bytes, status }))

const ofStream = "POST, GET, HEAD, DELETE, OPTIONS"

const cases: ReadonlyArray<Case> = [
  ...statuses(400, [
    ["no HTTP at all", "hello\r\n\r\n"],
    ["TLS where none is spoken", Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])],
    ["a version that is none", `GET /health HTTP/9.9\r\n${host}\r\n`],
    ["HTTP/2 from the start", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["a method in lower case", `get /health HTTP/1.1\r\n${host}\r\n`],
    ["a method nobody knows", `BREW /health HTTP/1.1\r\n${host}\r\n`],
    ["no Host", "GET /health HTTP/1.1\r\n\r\n"],
    ["no Host in HTTP/1.0", "GET /health HTTP/1.0\r\n\r\n"],
    ["two Hosts", `GET /health HTTP/1.1\r\n${host}${host}\r\n`],
    ["an absolute-form target", `GET http://localhost/health HTTP/1.1\r\n${host}\r\n`],
    ["an absolute-form target of another host", `GET http://evil.com/health HTTP/1.1\r\n${host}\r\n`],
    [
      "an absolute-form append",
      `POST http://localhost/streams/bad HTTP/1.1\r\n${host}${json}Content-Length: 19\r\n\r\n${body}`
    ],
    ["the asterisk form", `OPTIONS * HTTP/1.1\r\n${host}\r\n`],
    ["CONNECT", `CONNECT localhost:80 HTTP/1.1\r\n${host}\r\n`],
    ["CONNECT with a path", `CONNECT /streams/bad HTTP/1.1\r\n${host}\r\n`],
    ["a space in the target", `GET /streams/a b HTTP/1.1\r\n${host}\r\n`],
    ["a NUL in the target", `GET /streams/a\0b HTTP/1.1\r\n${host}\r\n`],
    ["a NUL in a header", `GET /health HTTP/1.1\r\n${host}X-A: a\0b\r\n\r\n`],
    ["a header without a name", `GET /health HTTP/1.1\r\n${host}: a\r\n\r\n`],
    ["a space before the colon", `GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n`],
    ["a folded header", `GET /health HTTP/1.1\r\n${host}X-A: a\r\n b\r\n\r\n`],
    ["bare line feeds", "GET /health HTTP/1.1\nHost: localhost\n\n"],
    ["a length and chunks", `${post}Content-Length: 19\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["two lengths", `${post}Content-Length: 19\r\nContent-Length: 20\r\n\r\n${body}`],
    ["a list of lengths", `${post}Content-Length: 19, 19\r\n\r\n${body}`],
    ["a negative length", `${post}Content-Length: -1\r\n\r\n${body}`],
    ["a length with a sign", `${post}Content-Length: +19\r\n\r\n${body}`],
    ["a hexadecimal length", `${post}Content-Length: 0x13\r\n\r\n${body}`],
    ["a length beyond 64 bits", `${post}Content-Length: 99999999999999999999\r\n\r\n${body}`],
    [
      "Transfer-Encoding: identity, chunked",
      `${post}Transfer-Encoding: identity, chunked\r\n\r\n13\r\n${body}\r\n0\r\n\r\n`
    ],
    ["Transfer-Encoding: gzip, chunked", `${post}Transfer-Encoding: gzip, chunked\r\n\r\n13\r\n${body}\r\n0\r\n\r\n`],
    [
      "Transfer-Encoding: chunked, identity",
      `${post}Transfer-Encoding: chunked, identity\r\n\r\n13\r\n${body}\r\n0\r\n\r\n`
    ],
    ["Transfer-Encoding: xchunked", `${post}Transfer-Encoding: xchunked\r\n\r\n13\r\n${body}\r\n0\r\n\r\n`],
    [
      "identity, chunked on a deletion",
      `DELETE /streams/kept HTTP/1.1\r\n${host}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`
    ],
    ["a chunk size that is none", `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n${body}\r\n0\r\n\r\n`],
    ["a chunk longer than it says", `${post}Transfer-Encoding: chunked\r\n\r\n2\r\n${body}\r\n0\r\n\r\n`],
    ["a chunk size beyond 64 bits", `${post}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n${body}\r\n`],
    ["a body on GET", `GET /streams HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\n{}`],
    ["a chunked body on GET", `GET /streams/kept/events HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`]
  ]),
  ...statuses(404, [
    ["the root", `GET / HTTP/1.1\r\n${host}\r\n`],
    ["a favicon", `GET /favicon.ico HTTP/1.1\r\n${host}\r\n`],
    ["a stream without a name", `GET /streams/ HTTP/1.1\r\n${host}\r\n`],
    [
      "a stream without a name, appended to",
      request("POST", "/streams/", { "Content-Type": "application/json" }, body)
    ],
    ["the events of no name", `GET /streams//events HTTP/1.1\r\n${host}\r\n`],
    ["a name with a raw slash", request("POST", "/streams/a/b", { "Content-Type": "application/json" }, body)],
    ["a slash too many", `GET /streams/kept/events/ HTTP/1.1\r\n${host}\r\n`],
    ["two slashes in front", `GET //streams HTTP/1.1\r\n${host}\r\n`],
    ["capitals", `GET /Streams HTTP/1.1\r\n${host}\r\n`],
    ["an encoded slash between the parts", `GET %2Fstreams HTTP/1.1\r\n${host}\r\n`.replace(" %2F", " /%2F")],
    ["an encoded letter in a route", `GET /%73treams HTTP/1.1\r\n${host}\r\n`],
    ["dots to another route", `GET /streams/../health HTTP/1.1\r\n${host}\r\n`],
    ["encoded dots to another route", `GET /streams/%2e%2e/health HTTP/1.1\r\n${host}\r\n`],
    ["backslashes", `GET /streams\\kept HTTP/1.1\r\n${host}\r\n`],
    ["a path of 10,000 slashes", `GET ${"/".repeat(10_000)} HTTP/1.1\r\n${host}\r\n`],
    ["OPTIONS of nothing", `OPTIONS /nothing HTTP/1.1\r\n${host}\r\n`]
  ]),
  ...([
    ["PUT", "/streams/bad", ofStream],
    ["PATCH", "/streams/bad", ofStream],
    ["TRACE", "/streams/bad", ofStream],
    ["PROPFIND", "/streams/bad", ofStream],
    ["QUERY", "/streams/bad", ofStream],
    ["POST", "/streams", "GET, HEAD, OPTIONS"],
    ["DELETE", "/streams", "GET, HEAD, OPTIONS"],
    ["POST", "/streams/kept/events", "GET, HEAD, OPTIONS"],
    ["DELETE", "/streams/kept/events", "GET, HEAD, OPTIONS"],
    ["POST", "/health", "GET, HEAD, OPTIONS"],
    ["TRACE", "/health", "GET, HEAD, OPTIONS"],
    ["PUT", "/openapi.json", "GET, HEAD, OPTIONS"],
    ["DELETE", "/docs", "GET, HEAD, OPTIONS"]
  ] as const).map(([method, target, allow]): Case => ({
    title: `${method} ${target}`,
    bytes: `${method} ${target} HTTP/1.1\r\n${host}${json}Content-Length: 0\r\n\r\n`,
    status: 405,
    allow
  })),
  ...statuses(417, [
    ["an expectation nobody can meet", `${post}Expect: the-impossible\r\nContent-Length: 19\r\n\r\n${body}`]
  ]),
  ...statuses(431, [
    ["a header of 17 KB", `GET /health HTTP/1.1\r\n${host}X-A: ${"a".repeat(17 * 1024)}\r\n\r\n`],
    ["a target of 17 KB", `GET /streams/${"a".repeat(17 * 1024)} HTTP/1.1\r\n${host}\r\n`],
    ["3,000 headers", `GET /health HTTP/1.1\r\n${host}${"X-A: 1\r\n".repeat(3_000)}\r\n`]
  ])
]

layer(layerServer(), { excludeTestServices: true })("broken HTTP", (it) => {
  for (const { allow, bytes, status, title } of cases) {
    it.effect(`Promise 11: ${status} for ${title}, and nothing is kept`, () =>
      talk(async (port) => {
        if ((await eventTexts(port, "kept")).length === 0) await append(port, "kept", "1")
        const reply = await exchange(port, bytes)
        assert.strictEqual(reply.status, status, reply.body.toString())
        assert.strictEqual(reply.headers["content-type"], "application/problem+json")
        const problem = JSON.parse(reply.body.toString()) as Record<string, unknown>
        assert.strictEqual(problem["status"], status)
        for (const member of ["type", "title", "detail"]) assert.isString(problem[member], member)
        if (allow !== undefined) assert.strictEqual(reply.headers["allow"], allow)
        assert.deepStrictEqual(await listStreams(port), ["kept"])
        assert.strictEqual((await eventTexts(port, "kept")).length, 1)
      }), 5_000)
  }

  it.effect("a thousand requests sent at once on one connection are answered in order", () =>
    talk(async (port) => {
      const name = freshName()
      const first = await append(port, name, "0")
      const wire = await Wire.open(port)
      const many = Array.from({ length: 500 }, (_, i) => [
        request("POST", `/streams/${name}`, { "Content-Type": "application/json" }, `{"data":${i}}`),
        request("GET", `/streams/${name}/events?limit=1`)
      ]).flat()
      wire.send(Buffer.concat(many))
      for (let i = 0; i < 500; i++) {
        const appended = await wire.reply()
        assert.strictEqual(appended.status, 201)
        assert.include(appended.body.toString(), `"offset":"${offsetOf(i + 1)}"`)
        assert.strictEqual((await wire.reply()).body.toString(), `{"events":[${first}]}`)
      }
      wire.close()
      await fetch(`http://127.0.0.1:${port}/streams/${name}`, { method: "DELETE" })
    }))

  it.effect("Promise 11: what follows a refused request on the same connection is read as what it is", () =>
    talk(async (port) => {
      const health = request("GET", "/health")
      // Each body is itself a request, which must never be taken for one.
      const inner = request("DELETE", "/streams/kept").toString()
      const refused = [
        request("POST", "/streams/kept", { "Content-Type": "text/plain" }, inner),
        request("POST", "/nothing", { "Content-Type": "application/json" }, inner),
        request("PUT", "/streams/kept", {}, inner),
        request("POST", "/streams/kept", { "Content-Type": "application/json" }, inner),
        request("POST", "/streams/kept", { "Content-Type": "application/json", Origin: "http://evil.com" }, inner),
        request("GET", "/streams/kept/events", { "Content-Length": String(inner.length) }, inner),
        request("DELETE", "/streams/ghost", {}, inner)
      ]
      await append(port, "kept", "1")
      for (const bytes of refused) {
        const wire = (await Wire.open(port)).send(bytes).send(health)
        assert.isAtLeast((await wire.reply()).status, 400)
        assert.strictEqual((await wire.reply()).status, 200)
        wire.close()
      }
      assert.deepStrictEqual(await listStreams(port), ["kept"])
    }))

  it.effect("a request that arrives byte by byte is one request", () =>
    talk(async (port) => {
      const name = freshName()
      const wire = await Wire.open(port)
      const bytes = request("POST", `/streams/${name}`, { "Content-Type": "application/json" }, `{"data":"é"}`)
      for (const byte of bytes) {
        await new Promise<void>((resolve) => wire.socket.write(Buffer.of(byte), () => resolve()))
      }
      assert.strictEqual((await wire.reply()).status, 201)
      wire.close()
      assert.strictEqual((await fetch(`http://127.0.0.1:${port}/streams/${name}`, { method: "DELETE" })).status, 204)
    }))

  it.effect("a body in many small chunks, with extensions and trailers, is one body", () =>
    talk(async (port) => {
      const name = freshName()
      const chunks = [..."{\"data\":\"in chunks\"}"].map((c) => `1;ext=x\r\n${c}\r\n`).join("")
      const reply = await exchange(
        port,
        `POST /streams/${name} HTTP/1.1\r\n${host}${json}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\nX-T: 1\r\n\r\n`
      )
      assert.strictEqual(reply.status, 201)
      assert.include(reply.body.toString(), `"data":"in chunks"`)
      assert.strictEqual((await fetch(`http://127.0.0.1:${port}/streams/${name}`, { method: "DELETE" })).status, 204)
    }))

  it.effect("a caller who asks first (Expect: 100-continue) is told to go on", () =>
    talk(async (port) => {
      const name = freshName()
      const wire = await Wire.open(port)
      wire.send(`POST /streams/${name} HTTP/1.1\r\n${host}${json}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n`)
      assert.strictEqual((await wire.reply()).status, 100)
      assert.strictEqual((await wire.send(`{"data":1}`).reply()).status, 201)
      wire.close()
      assert.strictEqual((await fetch(`http://127.0.0.1:${port}/streams/${name}`, { method: "DELETE" })).status, 204)
    }))

  it.effect("a thousand connections that come and go at any moment leave a server that works", () =>
    talk(async (port) => {
      const bytes = request("POST", "/streams/storm", { "Content-Type": "application/json" }, `{"data":1}`)
      const follow = request("GET", "/streams/storm?offset=-1")
      for (let round = 0; round < 20; round++) {
        const wires = await Promise.all(Array.from({ length: 50 }, () => Wire.open(port)))
        for (const [i, wire] of wires.entries()) {
          wire.send(i % 2 === 0 ? bytes.subarray(0, (round * 50 + i) % bytes.length) : follow)
          if (i % 3 === 0) wire.socket.resetAndDestroy()
          else wire.close()
        }
      }
      assert.strictEqual((await exchange(port, bytes)).status, 201)
      assert.strictEqual((await fetch(`http://127.0.0.1:${port}/streams/storm`, { method: "DELETE" })).status, 204)
    }))
})
