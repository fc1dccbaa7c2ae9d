/**
 * One call of a webhook over a real connection: its request, the answers that count as success, and the things it never
 * does.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { answerBytesMax, type Resolve, WebhookSender } from "../../src/subscriptions/webhook/webhook-sender.ts"
import { answering, receiver } from "./receiver.ts"

const post = (url: string, development = true, resolve?: Resolve) =>
  Effect.flatMap(WebhookSender, (sender) => sender.post(url, `{"a":1}`, { "webhook-signature": "t=1" })).pipe(
    Effect.provide(WebhookSender.layer(development, resolve))
  )

const failure = (url: string, development = true, resolve?: Resolve) =>
  Effect.map(Effect.flip(post(url, development, resolve)), ({ message }) => message)

/** A name service of ours, which records its questions. */
const names = (...addresses: ReadonlyArray<string>) => {
  const asked: Array<string> = []
  const resolve: Resolve = (hostname, _, callback) => {
    asked.push(hostname)
    callback(null, addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })))
  }
  return { asked, resolve }
}

/** A listener that counts its connections. */
const listener = Effect.gen(function*() {
  let connections = 0
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((socket) => {
        connections++
        socket.destroy()
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )
  return { port: (server.address() as AddressInfo).port, connections: () => connections }
})

describe("a call of a webhook", () => {
  it.live("posts the body as it is, on a connection of its own", () =>
    Effect.gen(function*() {
      const hook = yield* receiver(answering(200, `{"done":true}`))
      assert.strictEqual(yield* post(hook.url.replace("127.0.0.1", "localhost")), `{"done":true}`)
      const { headers, text } = yield* hook.call(0)
      assert.strictEqual(text, `{"a":1}`)
      assert.deepInclude(headers, { "content-type": "application/json", "content-length": "7", connection: "close" })
      assert.strictEqual(headers["webhook-signature"], "t=1")
    }).pipe(Effect.scoped))

  it.live("fails if the answer is no success, and follows no redirect", () =>
    Effect.gen(function*() {
      const other = yield* listener
      for (const status of [301, 302, 307, 308, 400, 404, 410, 500, 503]) {
        const hook = yield* receiver((response) => {
          response.writeHead(status, { location: `http://127.0.0.1:${other.port}/` }).end(`{"done":true}`)
        })
        assert.include(yield* failure(hook.url), String(status))
      }
      assert.strictEqual(other.connections(), 0)
    }).pipe(Effect.scoped))

  it.live("fails if no server listens, or the connection breaks", () =>
    Effect.gen(function*() {
      const broken = yield* listener
      assert.include(yield* failure(`http://127.0.0.1:${broken.port}/`), "could not be reached")
      const hook = yield* receiver((response) => {
        response.writeHead(200, { "content-length": "100" })
        response.write("{")
        setImmediate(() => response.destroy())
      })
      assert.include(yield* failure(hook.url), "broke off")
    }).pipe(Effect.scoped))

  it.live("reads no more of an answer than a valid answer can hold", () =>
    Effect.gen(function*() {
      const long = `{"done":true}${" ".repeat(answerBytesMax)}`
      const hook = yield* receiver(answering(200, long))
      assert.strictEqual(yield* post(hook.url), "")
      const endless = yield* receiver((response) => {
        const more = () => {
          if (response.destroyed) return
          response.write("a".repeat(16 * 1024), () => setImmediate(more))
        }
        response.writeHead(200)
        more()
      })
      assert.strictEqual(yield* post(endless.url), "")
    }).pipe(Effect.scoped))

  it.effect("takes ten seconds at most", () =>
    Effect.gen(function*() {
      const hook = yield* receiver((response) => void response.writeHead(200).write("{"))
      const call = yield* Effect.forkChild(failure(hook.url))
      yield* hook.call(0)
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(call.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.include(yield* Fiber.join(call), "did not answer within 10 seconds")
    }).pipe(Effect.scoped))
})

describe("a name that means something else when it is called", () => {
  it.live("is looked up for each call, and a call goes only to an address of the open internet", () =>
    Effect.gen(function*() {
      const { connections, port } = yield* listener
      for (const address of ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1"]) {
        const { asked, resolve } = names(address)
        assert.include(
          yield* failure(`https://worker.example:${port}/`, true, resolve),
          "no address that a webhook may go to"
        )
        assert.deepStrictEqual(asked, ["worker.example"], address)
      }
      const { resolve } = names("10.0.0.1", "93.184.216.34")
      assert.include(yield* failure(`http://localhost:${port}/`, true, resolve), "no address")
      assert.strictEqual(connections(), 0)
    }).pipe(Effect.scoped))

  it.live("is called if it means loopback by name, in development", () =>
    Effect.gen(function*() {
      const hook = yield* receiver(answering(200, "{}"))
      const { resolve } = names("10.0.0.1", "127.0.0.1")
      assert.strictEqual(yield* post(hook.url.replace("127.0.0.1", "localhost"), true, resolve), "{}")
    }).pipe(Effect.scoped))

  it.live("is not called if the server was started in another mode since then", () =>
    Effect.gen(function*() {
      const { connections, port } = yield* listener
      assert.include(yield* failure(`http://127.0.0.1:${port}/`, false), "https")
      assert.strictEqual(connections(), 0)
    }).pipe(Effect.scoped))
})
