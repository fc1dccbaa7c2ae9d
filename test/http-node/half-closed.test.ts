/**
 * Clients that end their side of the connection after the request and wait for the answer (RFC 9112 9.6): they get it.
 * Clients that are gone look the same, and the server finds them out.
 */
import { assert, layer } from "@effect/vitest"
import { vi } from "vitest"
import { freshName } from "../support/names.ts"
import { append, layerServer, post, talk, urlOf } from "../support/served.ts"
import { SseReader } from "../support/sse-reader.ts"
import { json, request, Wire } from "../support/wire.ts"

const sendAndEnd = async (port: number, bytes: Uint8Array): Promise<Wire> => {
  const wire = await Wire.open(port)
  wire.socket.end(bytes)
  return wire
}

const followers = async (port: number): Promise<number> =>
  ((await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as {
    readonly usage: { readonly followers: number }
  })
    .usage.followers

layer(layerServer(), { excludeTestServices: true })("a client that has ended its side", (it) => {
  it.effect("has its append answered, and the connection ends after the answer", () =>
    talk(async (port) => {
      for (let i = 0; i < 20; i++) {
        const wire = await sendAndEnd(port, request("POST", `/streams/${freshName()}`, json, `{"data":1}`))
        assert.strictEqual((await wire.reply()).status, 201)
        assert.isTrue(await wire.ended())
      }
    }))

  it.effect("has all of its pipelined requests answered", () =>
    talk(async (port) => {
      const name = freshName()
      const add = request("POST", `/streams/${name}`, json, `{"data":1}`)
      const wire = await sendAndEnd(port, Buffer.concat([add, add, request("GET", `/streams/${name}/events`)]))
      assert.strictEqual((await wire.reply()).status, 201)
      assert.strictEqual((await wire.reply()).status, 201)
      assert.match((await wire.reply()).body.toString(), /"offset":"0{15}1"/)
      assert.isTrue(await wire.ended())
    }))

  it.effect("gets the event for which its long-poll waits", () =>
    talk(async (port) => {
      const name = freshName()
      await append(port, name, "0")
      const wire = await sendAndEnd(port, request("GET", `/v1/stream/${name}?offset=now&live=long-poll`))
      await new Promise((resolve) => setTimeout(resolve, 800))
      await append(port, name, "1")
      let reply = await wire.head()
      // The server asked whether the client is still there.
      while (reply.status === 102) reply = await wire.head()
      assert.strictEqual(reply.status, 200)
      assert.strictEqual((await wire.body(reply)).toString(), "[1]")
      assert.isTrue(await wire.ended())
    }))

  it.effect("goes on following until the following ends", () =>
    talk(async (port) => {
      const name = freshName()
      await append(port, name, "0")
      const wire = await Wire.open(port)
      const follower = await SseReader.on(wire, `/streams/${name}?offset=-1`)
      assert.include((await follower.event()).data, `"data":0`)
      wire.socket.end()
      await new Promise((resolve) => setTimeout(resolve, 800))
      await append(port, name, "1")
      assert.include((await follower.event()).data, `"data":1`)
      await fetch(urlOf(port, name), {
        method: "POST",
        headers: { ...json, "Stream-Closed": "true" },
        body: `{"data":2}`
      })
      assert.include((await follower.event()).data, `"data":2`)
      assert.strictEqual((await follower.event()).event, "closed")
      assert.isUndefined(await follower.frame())
      assert.isTrue(await wire.ended())
    }))

  it.effect("and is gone gives its place back within a second", () =>
    talk(async (port) => {
      const name = freshName()
      await post(port, name, `{"data":1}`)
      const before = await followers(port)
      for (const target of [`/streams/${name}`, `/v1/stream/${name}?offset=now&live=sse`]) {
        const follower = await SseReader.open(port, target)
        assert.strictEqual(await followers(port), before + 1)
        follower.close()
        await vi.waitUntil(async () => (await followers(port)) === before, { timeout: 3_000 })
      }
      const wire = (await Wire.open(port)).send(request("GET", `/v1/stream/${name}?offset=now&live=long-poll`))
      await vi.waitUntil(async () => (await followers(port)) === before + 1)
      wire.close()
      await vi.waitUntil(async () => (await followers(port)) === before, { timeout: 3_000 })
    }))

  it.effect("in the middle of a request is told that the request is not complete", () =>
    talk(async (port) => {
      for (
        const bytes of [
          "GET /health HTTP/1.1\r\nHost: loc",
          "POST /streams/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        ]
      ) {
        const wire = await sendAndEnd(port, Buffer.from(bytes))
        assert.strictEqual((await wire.reply()).status, 400)
        assert.isTrue(await wire.ended())
      }
    }))
})
