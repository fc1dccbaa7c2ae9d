/**
 * The clients that may talk to the server, over bare sockets (promise 12; docs/decisions/0003-closed-by-default.md).
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Incoming } from "../../src/http/exchange.ts"
import { type GuardOptions, refusal } from "../../src/http/guard.ts"
import { freshName, offsetOf } from "../support/names.ts"
import { append, eventTexts, layerServer, listStreams, talk } from "../support/served.ts"
import { exchange, request } from "../support/wire.ts"

type Headers = Readonly<Record<string, string>>

const goodHosts = ["localhost", "LocalHost", "localhost:3000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:65535"]

const badHosts = [
  "",
  "evil.com",
  "localhost.evil.com",
  "evil.localhost",
  "localhost.",
  "127.0.0.1.evil.com",
  "127.0.0.1.",
  "evil.com:3000",
  "0.0.0.0",
  "0.0.0.0:3000",
  "127.0.0.2",
  "127.1",
  "2130706433",
  "0x7f000001",
  "017700000001",
  "[::]",
  "[::ffff:127.0.0.1]",
  "localhost,evil.com",
  "localhost:123456",
  "192.168.1.1",
  "xn--lcalhost-x1a"
]

/** Values that are not in the form of a host: RFC 9112 3.2 requires 400 for them. */
const noHosts = [
  "localhost:3000@evil",
  "localhost@evil.com",
  "::1",
  "[::1",
  "[::1]evil.com",
  "localhost, evil.com",
  "localhost evil.com",
  "localhost/",
  "localhost#evil.com",
  "localhost?evil.com",
  "localhost:abc",
  "localhost\tx",
  "http://localhost"
]

const goodOrigins = [
  "http://localhost",
  "http://localhost:5173",
  "https://localhost:8443",
  "http://127.0.0.1:3000",
  "http://[::1]:3000"
]

const badOrigins = [
  "null",
  "",
  "https://evil.com",
  "http://evil.com:3000",
  "http://localhost.evil.com",
  "http://127.0.0.1.evil.com",
  "http://localhost@evil.com",
  "http://localhost:3000@evil.com",
  "http://evil.com/localhost",
  "http://evil.com#localhost",
  "http://localhost/",
  "http://localhost:3000/path",
  "http://0.0.0.0:3000",
  "http://192.168.1.1",
  "localhost",
  "//localhost",
  "file://",
  "file:///etc/passwd",
  "chrome-extension://localhost",
  "javascript://localhost",
  "http://localhost http://evil.com",
  "http://localhost, http://evil.com",
  "*"
]

/** Every route and method, with and without a meaning. */
const requests: ReadonlyArray<readonly [method: string, target: string, headers: Headers, body?: string]> = [
  ["POST", "/streams/secret", { "Content-Type": "application/json" }, `{"data":"evil"}`],
  ["POST", "/streams/planted", { "Content-Type": "application/x-ndjson" }, `"evil"`],
  ["POST", "/streams/planted", { "Content-Type": "text/plain" }, `{"data":"evil"}`],
  ["DELETE", "/streams/secret", {}],
  ["GET", "/streams/secret", {}],
  ["GET", "/streams/secret?offset=-1", { "Last-Event-ID": "-1" }],
  ["GET", "/streams/secret/events", {}],
  ["GET", "/streams", {}],
  ["GET", "/health", {}],
  ["GET", "/openapi.json", {}],
  ["GET", "/docs", {}],
  ["GET", "/nothing", {}],
  ["HEAD", "/streams/secret/events", {}],
  ["OPTIONS", "/streams/secret", {}],
  ["GET", "/v1/stream/secret", {}],
  ["GET", "/v1/stream/secret?offset=-1&live=sse", {}],
  ["HEAD", "/v1/stream/secret", {}],
  ["POST", "/v1/stream/secret", { "Content-Type": "application/json" }, `"evil"`],
  ["POST", "/v1/stream/secret", { "Stream-Closed": "true" }],
  ["PUT", "/v1/stream/planted", { "Content-Type": "text/plain" }, "evil"],
  ["PUT", "/v1/stream/planted", { "Stream-Forked-From": "/v1/stream/secret" }],
  ["DELETE", "/v1/stream/secret", {}],
  ["PUT", "/streams/secret", {}, "x"],
  ["PATCH", "/streams/secret", {}, "x"]
]

const refusedHeaders: ReadonlyArray<readonly [title: string, headers: Headers, status?: number]> = [
  ...noHosts.map((host) => [`Host: ${host}`, { Host: host }, 400] as const),
  ...badHosts.map((host) => [`Host: ${host}`, { Host: host }] as const),
  ...badOrigins.map((origin) => [`Origin: ${origin}`, { Origin: origin }] as const),
  ["Sec-Fetch-Site: cross-site", { "Sec-Fetch-Site": "cross-site" }],
  ["Sec-Fetch-Site: same-site", { "Sec-Fetch-Site": "same-site" }],
  ["a form of another site", { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Origin": "null" }],
  ["a page by DNS rebinding", {
    Host: "evil.com:3000",
    Origin: "http://evil.com:3000",
    "Sec-Fetch-Site": "same-origin"
  }]
]

layer(layerServer({ storage: "fs" }), { excludeTestServices: true })("access", (it) => {
  it.effect.each(refusedHeaders)(
    "Promise 12: whatever the method and route, a refusal for %s",
    ([, headers, status = 403]) =>
      talk(async (port) => {
        const before = await eventTexts(port, "secret")
        if (before.length === 0) await append(port, "secret", `"payload"`)
        for (const [method, target, more, body] of requests) {
          const reply = await exchange(port, request(method, target, { ...more, ...headers }, body))
          const what = `${method} ${target}`
          assert.strictEqual(reply.status, status, what)
          assert.strictEqual(reply.headers["content-type"], "application/problem+json", what)
          assert.isUndefined(reply.headers["access-control-allow-origin"], what)
          assert.strictEqual(reply.headers["x-content-type-options"], "nosniff", what)
          assert.strictEqual(reply.headers["cross-origin-resource-policy"], "same-origin", what)
          assert.notInclude(reply.body.toString(), "payload", what)
        }
        assert.deepStrictEqual(await listStreams(port), ["secret"])
        assert.strictEqual((await eventTexts(port, "secret")).length, 1)
      })
  )

  it.effect.each(badOrigins)(
    "Promise 12: a preflight of %s is answered, and names no origin: its page goes no further",
    (origin) =>
      talk(async (port) => {
        const preflight = {
          Origin: origin,
          "Access-Control-Request-Method": "POST",
          "Access-Control-Request-Private-Network": "true"
        }
        for (const path of ["/streams/secret", "/v1/stream/secret"]) {
          const { headers, status } = await exchange(port, request("OPTIONS", path, preflight))
          assert.strictEqual(status, 204)
          assert.isUndefined(headers["access-control-allow-origin"])
          assert.isUndefined(headers["access-control-allow-private-network"])
          assert.include(headers["access-control-allow-headers"], "If-None-Match")
          assert.strictEqual(headers["cross-origin-resource-policy"], "same-origin")
          assert.include(headers["vary"], "Origin")
        }
      })
  )

  it.effect.each(goodHosts)(
    "Promise 12: this machine is answered under its own names: Host %s",
    (host) =>
      talk(async (port) => {
        assert.strictEqual((await exchange(port, request("GET", "/health", { Host: host }))).status, 200)
      })
  )

  it.effect("Promise 12: a request with two hosts, or with none, is refused", () =>
    talk(async (port) => {
      for (const hosts of ["Host: localhost\r\nHost: localhost\r\n", "Host: localhost\r\nhost: evil.com\r\n", ""]) {
        const reply = await exchange(port, `GET /health HTTP/1.1\r\n${hosts}\r\n`)
        assert.strictEqual(reply.status, 400)
        assert.strictEqual(reply.headers["content-type"], "application/problem+json")
      }
    }))

  it.effect.each(goodOrigins)(
    "Promise 12: a page from this machine may read and write, and is told so: %s",
    (origin) =>
      talk(async (port) => {
        const name = freshName()
        const json = { Origin: origin, "Content-Type": "application/json", "Sec-Fetch-Site": "same-site" }
        const written = await exchange(port, request("POST", `/streams/${name}`, json, `{"data":1}`))
        assert.strictEqual(written.status, 201)
        const read = await exchange(port, request("GET", `/streams/${name}/events`, { Origin: origin }))
        const refused = await exchange(port, request("GET", "/streams/nothing/events", { Origin: origin }))
        assert.deepStrictEqual([read.status, refused.status], [200, 404])
        for (const { headers } of [written, read, refused]) {
          assert.strictEqual(headers["access-control-allow-origin"], origin)
          assert.include(headers["vary"], "Origin")
          assert.isUndefined(headers["access-control-allow-credentials"])
          assert.strictEqual(headers["cross-origin-resource-policy"], "cross-origin")
        }
        const preflight = await exchange(
          port,
          request("OPTIONS", `/streams/${name}`, {
            Origin: origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type"
          })
        )
        assert.strictEqual(preflight.status, 204)
        assert.strictEqual(preflight.headers["access-control-allow-origin"], origin)
        assert.include(preflight.headers["access-control-allow-methods"], "POST")
        assert.include(preflight.headers["access-control-allow-methods"], "DELETE")
        assert.include(preflight.headers["access-control-allow-headers"], "Content-Type")
        assert.include(preflight.headers["access-control-allow-headers"], "Last-Event-ID")
        assert.include(preflight.headers["vary"], "Origin")
      })
  )

  it.effect("Promise 12: a program without an origin gets no CORS headers", () =>
    talk(async (port) => {
      const plain: ReadonlyArray<Headers> = [{}, { "Sec-Fetch-Site": "none" }, { "Sec-Fetch-Site": "same-origin" }]
      for (const headers of plain) {
        const reply = await exchange(port, request("GET", "/health", headers))
        assert.strictEqual(reply.status, 200)
        assert.deepStrictEqual(Object.keys(reply.headers).filter((name) => name.startsWith("access-control-")), [])
        assert.strictEqual(reply.headers["cross-origin-resource-policy"], "same-origin")
        assert.strictEqual(reply.headers["vary"], "Origin")
      }
    }))

  it.effect("Promise 12: a request that a browser sends without asking first (a simple POST) is no append, even from this machine", () =>
    talk(async (port) => {
      const name = freshName()
      const types = [
        "text/plain",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data"
      ]
      for (const type of types) {
        for (const headers of [{}, { Origin: "http://localhost:5173" }]) {
          const reply = await exchange(
            port,
            request("POST", `/streams/${name}`, { ...headers, "Content-Type": type }, `{"data":1}`)
          )
          assert.strictEqual(reply.status, 415)
        }
      }
      assert.notInclude(await listStreams(port), name)
    }))

  it.effect("Promise 12: GET, HEAD and OPTIONS never create anything", () =>
    talk(async (port) => {
      const before = await listStreams(port)
      const targets = ["/streams/ghost", "/streams/ghost?offset=-1", "/streams/ghost/events", "/streams/ghost?since=1m"]
      for (const target of targets) {
        // The test does not wait for an endless answer: its head is enough.
        await fetch(`http://127.0.0.1:${port}${target}`).then((answer) => answer.body?.cancel())
        await exchange(port, request("HEAD", target))
        await exchange(port, request("OPTIONS", target))
      }
      assert.deepStrictEqual(await listStreams(port), before)
      assert.include(await append(port, "ghost", "1"), offsetOf(0))
    }))

  it.effect("Promise 12: the data directory and the logs are the user's own", () =>
    talk(async (port) => {
      const fs = await import("node:fs")
      await append(port, "secret", "2")
      const { dataDirectory } = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as Record<
        string,
        string
      >
      const modes = [dataDirectory!, `${dataDirectory}/streams`, `${dataDirectory}/streams/secret.json`].map((file) =>
        (fs.statSync(file).mode & 0o777).toString(8)
      )
      assert.deepStrictEqual(modes, ["700", "700", "600"])
    }))
})

describe("beyond loopback", () => {
  it("Promise 12: any host is the right one, and pages of other origins are still refused", () => {
    assert.isUndefined(verdict({ host: "logs.example.com" }))
    assert.isUndefined(verdict({ host: "logs.example.com", origin: "https://logs.example.com" }))
    assert.isUndefined(verdict({ host: "Logs.example.com:8080", origin: "http://logs.example.com:8080" }))
    assert.strictEqual(verdict({ host: "logs.example.com", origin: "https://evil.com" }), "AccessRefused")
    assert.strictEqual(verdict({ host: "logs.example.com", origin: "null" }), "AccessRefused")
    assert.strictEqual(
      verdict({ host: "logs.example.com", origin: "https://logs.example.com.evil.com" }),
      "AccessRefused"
    )
    assert.strictEqual(verdict({ host: "logs.example.com", "sec-fetch-site": "cross-site" }), "AccessRefused")
    assert.strictEqual(verdict({}), "InvalidRequest")
  })

  it("Promise 12: a page whose name was bound to this machine is refused there, too: names are let in one by one", () => {
    const evil = { host: "evil.example:3000", origin: "http://evil.example:3000", "sec-fetch-site": "same-origin" }
    assert.strictEqual(verdict(evil), "AccessRefused")
    for (
      const host of ["evil.example", "logs.example.com.evil.com", "x.logs.example.com", "1.2.3.4.evil.com", "1.2.3", ""]
    ) {
      assert.strictEqual(verdict({ host }), "AccessRefused", host)
    }
    for (
      const host of [
        "192.168.1.7:3000",
        "10.0.0.1",
        "[fd00::1]:3000",
        "localhost:3000",
        "127.0.0.1",
        "LOGS.example.com"
      ]
    ) {
      assert.isUndefined(verdict({ host }), host)
    }
    assert.isUndefined(verdict(evil, { loopback: false, hosts: ["*"], origins: [] }))
  })

  it("Promise 12: on loopback a name that was let in is answered, and the refusal of another says how to let it in", () => {
    const options = { loopback: true, hosts: ["app.localhost"], origins: [] }
    assert.isUndefined(verdict({ host: "app.localhost:3000" }, options))
    for (const host of ["b.localhost", "192.168.1.7"]) assert.strictEqual(verdict({ host }, options), "AccessRefused")
    const said = refusal(asked({ host: "streams.example.com:443" }), options)?.message
    assert.include(said, "--allow-host streams.example.com,")
    assert.include(said, "header_up Host {upstream_hostport}")
    assert.include(said, "proxy_set_header Host 127.0.0.1:PORT")
  })

  it("Promise 12: an HTTP/1.0 request needs no Host, and is refused with a wrong one", () => {
    assert.isUndefined(verdict({}, { loopback: true, hosts: [], origins: [] }, "1.0"))
    assert.strictEqual(
      verdict({ host: "evil.com" }, { loopback: true, hosts: [], origins: [] }, "1.0"),
      "AccessRefused"
    )
    assert.strictEqual(
      verdict({ host: "localhost" }, { loopback: true, hosts: [], origins: [] }, "2.0"),
      "VersionNotSupported"
    )
  })

  it("Promise 12: the origin of a request counts, however it is written", () => {
    for (const site of ["Cross-Site", "SAME-SITE", "same-origin, cross-site", "cross-site, none", " cross-site"]) {
      assert.strictEqual(verdict({ host: "localhost", "sec-fetch-site": site }), "AccessRefused")
    }
  })
})

const asked = (headers: Headers, version = "1.1"): Incoming => ({
  method: "GET",
  target: "/streams",
  version,
  stopping: Effect.never,
  header: (name) => headers[name],
  headerCount: (name) => headers[name] === undefined ? 0 : 1,
  body: () => Effect.die("not read"),
  bodyUnsafe: () => assert.fail("not read")
})

const verdict = (
  headers: Headers,
  options: GuardOptions = { loopback: false, hosts: ["logs.example.com"], origins: [] },
  version?: string
) => refusal(asked(headers, version), options)?._tag
