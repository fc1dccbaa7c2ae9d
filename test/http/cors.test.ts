/**
 * The web pages besides those of this machine that may use the server, and their answers (promise 12; docs/protocol.md
 * 1).
 */
import { assert, layer } from "@effect/vitest"
import { freshName } from "../support/names.ts"
import { layerServer, talk } from "../support/served.ts"
import { exchange, request } from "../support/wire.ts"

const methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]

const understood = [
  "Content-Type",
  "Authorization",
  "If-Match",
  "If-None-Match",
  "Last-Event-ID",
  "Stream-Life",
  "Stream-Seq",
  "Stream-TTL",
  "Stream-Expires-At",
  "Stream-Closed",
  "Stream-Forked-From",
  "Stream-Fork-Offset",
  "Stream-Fork-Sub-Offset",
  "Producer-Id",
  "Producer-Epoch",
  "Producer-Seq"
]

const exposed = [
  "Stream-Next-Offset",
  "Stream-Life",
  "Stream-Cursor",
  "Stream-Up-To-Date",
  "Stream-Closed",
  "Stream-TTL",
  "Stream-Expires-At",
  "Stream-SSE-Data-Encoding",
  "Stream-Extensions",
  "Producer-Epoch",
  "Producer-Seq",
  "Producer-Expected-Seq",
  "Producer-Received-Seq",
  "ETag",
  "Location",
  "Content-Encoding",
  "Retry-After"
]

layer(layerServer({ corsOrigins: ["https://app.example", "tauri://localhost"] }), {
  excludeTestServices: true
})(
  "access with --cors-origin",
  (it) => {
    it.effect.each(["https://app.example", "tauri://localhost", "http://localhost:5173"])(
      "Promise 12: a page of an allowed origin may do what a program may, and reads the answers: %s",
      (origin) =>
        talk(async (port) => {
          const target = `/streams/${freshName()}`
          const page = { Origin: origin, "Sec-Fetch-Site": "cross-site" }
          const asked = await exchange(
            port,
            request("OPTIONS", target, {
              ...page,
              "Access-Control-Request-Method": "PUT",
              "Access-Control-Request-Headers": understood.join(",").toLowerCase()
            })
          )
          assert.strictEqual(asked.status, 204)
          assert.sameMembers(listOf(asked.headers["access-control-allow-methods"]), methods)
          assert.includeMembers(listOf(asked.headers["access-control-allow-headers"]), understood)
          assert.isUndefined(asked.headers["access-control-allow-private-network"])
          const json = { ...page, "Content-Type": "application/json" }
          const written = await exchange(port, request("POST", target, json, `{"data":1}`))
          const read = await exchange(port, request("GET", `${target}/events`, page))
          const refused = await exchange(port, request("GET", "/streams/nothing/events", page))
          assert.deepStrictEqual([written.status, read.status, refused.status], [201, 200, 404])
          for (const { headers } of [asked, written, read, refused]) {
            assert.strictEqual(headers["access-control-allow-origin"], origin)
            assert.strictEqual(headers["cross-origin-resource-policy"], "cross-origin")
            assert.strictEqual(headers["vary"], "Origin")
            assert.isUndefined(headers["access-control-allow-credentials"])
            assert.includeMembers(listOf(headers["access-control-expose-headers"]), exposed)
          }
        })
    )

    it.effect("a page of the public web that asks for a private address is told that it may", () =>
      talk(async (port) => {
        const headers = { Origin: "https://app.example", "Access-Control-Request-Private-Network": "true" }
        const asked = await exchange(port, request("OPTIONS", "/streams/a", headers))
        assert.strictEqual(asked.headers["access-control-allow-private-network"], "true")
      }))

    it.effect.each([
      "https://app.example.evil.com",
      "https://app.example:8443",
      "http://app.example",
      "https://APP.example/",
      "https://evil.com",
      "*",
      "null"
    ])("Promise 12: any other page is refused and reads nothing: %s", (origin) =>
      talk(async (port) => {
        for (const method of ["GET", "OPTIONS"]) {
          const reply = await exchange(port, request(method, "/streams", { Origin: origin }))
          assert.strictEqual(reply.status, 403)
          assert.strictEqual(reply.headers["cross-origin-resource-policy"], "same-origin")
          assert.isUndefined(reply.headers["access-control-allow-origin"])
        }
      }))

    it.effect("Promise 12: a request that another site embeds, without saying which site it is, is refused", () =>
      talk(async (port) => {
        const reply = await exchange(port, request("GET", "/streams", { "Sec-Fetch-Site": "cross-site" }))
        assert.strictEqual(reply.status, 403)
      }))
  }
)

layer(layerServer({ corsOrigins: ["*"] }), { excludeTestServices: true })("access with --cors-origin '*'", (it) => {
  it.effect("a page of any origin may use the server, and one answer is good for all of them", () =>
    talk(async (port) => {
      const pages: ReadonlyArray<Readonly<Record<string, string>>> = [
        { Origin: "https://app.example", "Sec-Fetch-Site": "cross-site" },
        { Origin: "null" },
        { Origin: "http://localhost:5173" },
        { "Sec-Fetch-Site": "cross-site" },
        {}
      ]
      for (const page of pages) {
        for (const method of ["GET", "OPTIONS"]) {
          const { headers, status } = await exchange(port, request(method, "/streams", page))
          assert.strictEqual(status, method === "GET" ? 200 : 204)
          assert.strictEqual(headers["access-control-allow-origin"], "*")
          assert.strictEqual(headers["cross-origin-resource-policy"], "cross-origin")
          assert.isUndefined(headers["access-control-allow-credentials"])
          assert.isUndefined(headers["vary"])
        }
      }
    }))

  it.effect("Promise 12: a page that pretends to be us by DNS is refused all the same", () =>
    talk(async (port) => {
      const headers = { Host: "evil.com:3000", Origin: "http://evil.com:3000" }
      assert.strictEqual((await exchange(port, request("GET", "/streams", headers))).status, 403)
    }))
})

const listOf = (value: string | undefined) => (value ?? "").split(", ")
