/**
 * Requests that are broken or hostile below the level of routes, over bare sockets: every one has an answer, and the
 * next request on the connection is never misread (promise 11).
 */
import { assert, layer } from "@effect/vitest"
import * as Net from "node:net"
import { vi } from "vitest"
import { badHttp } from "../support/bad-http-requests.ts"
import { freshName, offsetOf } from "../support/names.ts"
import { append, eventTexts, layerServer, listStreams, talk } from "../support/served.ts"
import { exchange, request, Wire } from "../support/wire.ts"

const json = "Content-Type: application/json\r\n"
const host = "Host: localhost\r\n"

layer(layerServer(), { excludeTestServices: true })("broken HTTP", (it) => {
  for (const { allow, bytes, status, title } of badHttp) {
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

  it.effect("Promise 11: a client that sends something broken and resets the connection harms no other client", () =>
    talk(async (port) => {
      const before = await connections(port)
      for (const { bytes, title } of [...badHttp, ...upgrades]) {
        // At once, and when the answer is under way or complete: the reset meets each of them.
        for (const waits of [false, true]) {
          const wire = (await Wire.open(port)).send(bytes)
          if (waits) await new Promise((resolve) => setTimeout(resolve, 2))
          wire.socket.resetAndDestroy()
        }
        assert.strictEqual((await exchange(port, request("GET", "/health"))).status, 200, title)
      }
      await areOpen(port, before)
    }))

  it.effect("Promise 11: a connection that was refused is closed, even if the other side leaves it open", () =>
    talk(async (port) => {
      const before = await connections(port)
      const bytes = ["CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", "hello\r\n\r\n", broken("/nothing", "chunked")]
      // A client that may stay half open does not answer the end of the connection with its own.
      const sockets = bytes.map(() => Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }))
      await Promise.all(sockets.map((socket, i) => {
        socket.on("error", () => {}).write(bytes[i]!)
        return new Promise((resolve) => socket.once("data", resolve))
      }))
      await areOpen(port, before)
      for (const socket of sockets) socket.destroy()
    }))

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

  it.effect("Promise 11: the bytes after a refused request on the same connection are read as the requests they are", () =>
    talk(async (port) => {
      const health = request("GET", "/health")
      // Each body is itself a request, which the server must never take for one.
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

  it.effect("Promise 11: one request has one answer, even if it was refused before the rest of it turned out to be broken", () =>
    talk(async (port) => {
      for (const bytes of [broken("/streams/bad", "xchunked"), broken("/nothing", "chunked")]) {
        const wire = (await Wire.open(port)).send(bytes)
        assert.isAtLeast((await wire.reply()).status, 400)
        assert.isTrue(await wire.ended())
        wire.close()
      }
    }))

  it.effect("Promise 11: broken bytes after a request that was answered are refused by themselves", () =>
    talk(async (port) => {
      const wire = (await Wire.open(port)).send(request("GET", "/health")).send("nonsense\r\n\r\n")
      assert.strictEqual((await wire.reply()).status, 200)
      assert.strictEqual((await wire.reply()).status, 400)
      assert.isTrue(await wire.ended())
      wire.close()
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

  it.effect.each(["chunked", "announced"])(
    "a body in large and small pieces is put together unchanged (%s)",
    (how) =>
      talk(async (port) => {
        const name = freshName()
        const sizes = [1, 1, 5_000, 3, 70_000, 1, 4_095, 4_096, 60_000, 2, 100_000, 1]
        const whole = Buffer.from(
          Array.from({ length: sizes.reduce((sum, size) => sum + size) }, (_, i) => (i * 7 + (i >> 8)) % 256)
        )
        const wire = await Wire.open(port)
        const length = how === "chunked" ? "Transfer-Encoding: chunked" : `Content-Length: ${whole.length}`
        wire.send(`PUT /v1/stream/${name} HTTP/1.1\r\n${host}Content-Type: image/png\r\n${length}\r\n\r\n`)
        let at = 0
        for (const size of sizes) {
          const piece = whole.subarray(at, at += size)
          const framed = Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), piece, Buffer.from("\r\n")])
          await new Promise<void>((resolve) => wire.socket.write(how === "chunked" ? framed : piece, () => resolve()))
          // Lets the server read it apart from the next one.
          await new Promise((resolve) => setTimeout(resolve, 2))
        }
        if (how === "chunked") wire.send("0\r\n\r\n")
        assert.strictEqual((await wire.reply()).status, 201)
        wire.close()
        const { body } = await exchange(port, request("GET", `/v1/stream/${name}?offset=-1`))
        assert.isTrue(body.equals(whole))
        assert.strictEqual((await fetch(`http://127.0.0.1:${port}/streams/${name}`, { method: "DELETE" })).status, 204)
      })
  )

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

/** A request whose body claims to have chunks and has none. */
const broken = (target: string, coding: string) =>
  `POST ${target} HTTP/1.1\r\n${host}${json}Transfer-Encoding: ${coding}\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`

/** Requests to switch to another protocol; they are answered as if they had not asked. */
const upgrades = ["websocket", "h2c", "TLS/1.2"].map((protocol) => ({
  title: `Upgrade: ${protocol}`,
  bytes: `GET /health HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`
}))

/** Waits until there are this many connections again; a refused one may stay open for a second. */
const areOpen = (port: number, count: number) =>
  vi.waitUntil(async () => (await connections(port)) <= count, { timeout: 2_500, interval: 50 })

const connections = async (port: number): Promise<number> => {
  const { body } = await exchange(port, request("GET", "/health"))
  return (JSON.parse(body.toString()) as { readonly usage: { readonly connections: number } }).usage.connections
}
