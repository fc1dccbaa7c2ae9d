/**
 * Several requests on one connection, sent without a wait for answers: one runs at a time (RFC 9112 9.3.2), and the
 * others cost the server next to nothing.
 */
import { assert, layer } from "@effect/vitest"
import { once } from "node:events"
import { connect } from "node:net"
import { vi } from "vitest"
import { freshName } from "../support/names.ts"
import { append, layerServer, talk } from "../support/served.ts"
import { json, request, Wire } from "../support/wire.ts"

interface Usage {
  readonly connections: number
  readonly followers: number
}

const usage = async (port: number): Promise<Usage> =>
  ((await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as { readonly usage: Usage }).usage

/** The statuses of the answers to all requests, sent in one write. */
const statuses = async (port: number, requests: ReadonlyArray<readonly [method: string, bytes: Uint8Array]>) => {
  const wire = (await Wire.open(port)).send(Buffer.concat(requests.map(([, bytes]) => bytes)))
  const found: Array<number> = []
  for (const [method] of requests) found.push((await wire.reply(method)).status)
  wire.close()
  return found
}

layer(layerServer(), { excludeTestServices: true })(
  "requests on one connection",
  (it) => {
    it.effect("are performed one after the other, and each sees the effects of those before it", () =>
      talk(async (port) => {
        const name = freshName()
        const add = ["POST", request("POST", `/streams/${name}`, json, `{"data":1}`)] as const
        const read = ["GET", request("GET", `/streams/${name}/events`)] as const
        const remove = ["DELETE", request("DELETE", `/streams/${name}`)] as const
        const head = ["HEAD", request("HEAD", `/v1/stream/${name}`)] as const
        const put = ["PUT", request("PUT", `/v1/stream/${name}`, json)] as const
        assert.deepStrictEqual(await statuses(port, [add, read]), [201, 200])
        assert.deepStrictEqual(await statuses(port, [add, remove, read]), [201, 204, 404])
        assert.deepStrictEqual(
          await statuses(port, [put, head, add, add, remove, head, put, put, remove]),
          [201, 200, 201, 201, 204, 404, 201, 200, 204]
        )
      }))

    it.effect(
      "end with their connection, even if the last one asks for a tunnel after an answer that is under way",
      () =>
        talk(async (port) => {
          const name = freshName()
          await append(port, name, `"${"x".repeat(1_000_000)}"`)
          const tunnel = Buffer.from("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")
          const fronts = [
            request("GET", `/streams/${name}`),
            request("GET", `/streams/${name}/events`),
            request("GET", `/v1/stream/${name}?offset=now&live=long-poll`)
          ]
          for (const front of fronts) {
            for (const leave of ["end", "resetAndDestroy", "destroy"] as const) {
              const socket = connect({ host: "127.0.0.1", port })
              socket.on("error", () => {})
              await once(socket, "connect")
              socket.write(Buffer.concat([front, tunnel]))
              await once(socket, "data", { signal: AbortSignal.timeout(500) }).catch(() => {})
              socket[leave]()
              if (leave === "end") socket.destroySoon()
            }
          }
          // Whatever they left behind, the server goes on and has room again.
          for (let i = 0; i < 3; i++) await append(port, name, "1")
          await vi.waitFor(async () => assert.strictEqual((await usage(port)).followers, 0), { timeout: 20_000 })
        }),
      60_000
    )

    it.effect("after one with Upgrade are not performed, whatever read they come with", () =>
      talk(async (port) => {
        const name = freshName()
        const upgrade = request("GET", "/health", { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c" })
        const head = `POST /streams/${name}-a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
          "Content-Length: 200\r\n\r\n"
        const wire = (await Wire.open(port)).send(Buffer.concat([upgrade, Buffer.from(head)]))
        const reply = await wire.reply("GET")
        assert.deepStrictEqual([reply.status, reply.headers["connection"]], [200, "close"])
        wire.send(request("POST", `/streams/${name}-b`, json, `{"data":9}`))
        assert.isUndefined(await wire.chunk().catch(() => undefined))
        wire.close()
        const missing = await fetch(`http://127.0.0.1:${port}/streams/${name}-b/events`)
        assert.strictEqual(missing.status, 404)
      }))

    it.effect("may have bodies that are cut anywhere, in chunks or asked for first", () =>
      talk(async (port) => {
        const name = freshName()
        const chunked =
          `POST /streams/${name} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n` +
          `5\r\n{"dat\r\n5\r\na":2}\r\n0\r\nX-T: 1\r\n\r\n`
        const asked = request("POST", `/streams/${name}`, { ...json, Expect: "100-continue" }, `{"data":3}`)
        const all = Buffer.concat([
          request("POST", `/streams/${name}`, json, `{"data":1}`),
          Buffer.from(chunked),
          asked,
          request("GET", `/streams/${name}/events`)
        ])
        for (const size of [1, 7, 61, all.length]) {
          const wire = await Wire.open(port)
          for (let at = 0; at < all.length; at += size) {
            await new Promise<void>((resolve) => wire.socket.write(all.subarray(at, at + size), () => resolve()))
          }
          assert.strictEqual((await wire.reply()).status, 201)
          assert.strictEqual((await wire.reply()).status, 201)
          assert.strictEqual((await wire.reply()).status, 100)
          assert.strictEqual((await wire.reply()).status, 201)
          const { events } = JSON.parse((await wire.reply()).body.toString()) as { readonly events: Array<{ data: 1 }> }
          assert.deepStrictEqual(events.map(({ data }) => data), [1, 2, 3])
          wire.close()
          await fetch(`http://127.0.0.1:${port}/streams/${name}`, { method: "DELETE" })
        }
      }))

    it.effect("have their answers whole and in order, even large ones that are read slowly", () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, `"${"x".repeat(900_000)}"`)
        const wire = await Wire.open(port)
        wire.socket.pause()
        const count = 40
        for (let i = 0; i < count; i++) {
          wire.send(request("GET", `/streams/${name}/events?a=${i}`)).send(request("GET", `/health`))
        }
        await new Promise((resolve) => setTimeout(resolve, 100))
        wire.socket.resume()
        for (let i = 0; i < count; i++) {
          assert.isAbove((await wire.reply()).body.length, 900_000)
          assert.include((await wire.reply()).body.toString(), `"pid"`)
        }
        wire.send(request("GET", "/health"))
        assert.strictEqual((await wire.reply()).status, 200)
        wire.close()
      }))

    it.effect("may be a quarter of a megabyte of small ones, and all are answered", () =>
      talk(async (port) => {
        const one = request("GET", "/streams?limit=1")
        const count = Math.ceil(2 ** 18 / one.length)
        const wire = (await Wire.open(port)).send(Buffer.concat(Array.from({ length: count }, () => one)))
        for (let i = 0; i < count; i++) assert.strictEqual((await wire.reply()).status, 200)
        wire.close()
      }))

    it.effect("after a following take no place, and its place is free as soon as the client leaves", () =>
      talk(async (port) => {
        const name = freshName()
        const follow = request("GET", `/streams/${name}`)
        const { followers } = await usage(port)
        for (const leave of ["destroy", "resetAndDestroy"] as const) {
          const wires = await Promise.all(Array.from({ length: 8 }, () => Wire.open(port)))
          for (const wire of wires) wire.send(Buffer.concat(Array.from({ length: 1_000 }, () => follow)))
          for (const wire of wires) assert.strictEqual((await wire.head()).status, 200)
          assert.strictEqual((await usage(port)).followers, followers + wires.length)
          for (const wire of wires) wire.socket[leave]()
          await vi.waitUntil(async () => (await usage(port)).followers === followers, { timeout: 2_000 })
        }
      }))

    it.effect("end the following before them when they are more than 64 KiB", () =>
      talk(async (port) => {
        const wire = await Wire.open(port)
        const follow = request("GET", `/streams/${freshName()}`)
        wire.send(Buffer.concat(Array.from({ length: 10_000 }, () => follow)))
        const ended = await new Promise((resolve) => wire.socket.once("close", () => resolve(true)))
        assert.isTrue(ended)
      }))

    it.effect("after a refusal that closes, or after Connection: close, are neither performed nor answered", () =>
      talk(async (port) => {
        const name = freshName()
        const add = request("POST", `/streams/${name}`, json, `{"data":1}`)
        const last = request("GET", "/health", { Connection: "close" })
        for (const more of [add, Buffer.from("nonsense\r\n\r\n")]) {
          const wire = (await Wire.open(port)).send(Buffer.concat([last, more]))
          assert.strictEqual((await wire.reply()).status, 200)
          assert.isTrue(await wire.ended())
        }
        assert.strictEqual((await fetch(`http://127.0.0.1:${port}/streams/${name}/events`)).status, 404)
      }))

    it.effect("that are broken are refused after the answer before them, and never in the middle of it", () =>
      talk(async (port) => {
        const name = freshName()
        await append(port, name, `"${"x".repeat(900_000)}"`)
        for (const broken of ["nonsense\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"]) {
          const wire = await Wire.open(port)
          wire.socket.pause()
          const read = request("GET", `/streams/${name}/events`)
          wire.send(Buffer.concat([read, read, Buffer.from(broken)]))
          await new Promise((resolve) => setTimeout(resolve, 50))
          wire.socket.resume()
          for (let i = 0; i < 2; i++) assert.match((await wire.reply()).body.toString(), /"}\]}$/)
          assert.strictEqual((await wire.reply()).status, 400)
          assert.isTrue(await wire.ended())
        }
      }))
  }
)

layer(layerServer({ requestMillis: 1_000, longPollMillis: 2_000 }), { excludeTestServices: true })(
  "a request on a connection",
  (it) => {
    it.effect(
      "that never becomes whole is refused after the answer before it, and not within it",
      () =>
        talk(async (port) => {
          const name = freshName()
          await append(port, name, "1")
          const wire = await Wire.open(port)
          wire.send(request("GET", `/v1/stream/${name}?offset=now&live=long-poll`)).send("GET /hea")
          assert.strictEqual((await wire.reply()).status, 204)
          assert.strictEqual((await wire.reply()).status, 408)
          assert.isTrue(await wire.ended())
        }),
      20_000
    )

    it.effect(
      "whose time passed while it waited for its turn still has time for its body, and no more than that",
      () =>
        talk(async (port) => {
          const name = freshName()
          await fetch(`http://127.0.0.1:${port}/v1/stream/${name}`, {
            method: "PUT",
            headers: { "content-type": "text/plain" }
          })
          const poll = request("GET", `/v1/stream/${name}?offset=-1&live=long-poll`)
          for (const isSent of [true, false]) {
            const wire = await Wire.open(port)
            wire.send(poll).send(
              request("POST", `/v1/stream/${name}`, { "Content-Type": "text/plain", "Content-Length": "4" })
            )
            assert.strictEqual((await wire.reply()).status, isSent ? 204 : 200)
            if (isSent) wire.send("late")
            assert.strictEqual((await wire.reply()).status, isSent ? 204 : 408)
            wire.close()
          }
        }),
      20_000
    )
  }
)
