/**
 * A server that stops, and clients that have just come.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { Worker } from "node:worker_threads"
import { serve } from "../../src/http-node/node-server.ts"
import type { Streamed } from "../../src/http/exchange.ts"
import { SseReader } from "../support/sse-reader.ts"
import { request, Wire } from "../support/wire.ts"

const comers = 40

const handler = ({ target }: { readonly target: string }) =>
  Effect.succeed({ status: 200, headers: {}, body: target === "/" ? "ok" : following() })

/**
 * Asks on a given number of connections, reports when the system has taken all of them, and then prints their
 * answers.
 */
const asking = `
  const { parentPort, workerData: { comers, port, taken } } = require("node:worker_threads")
  const answers = Array.from({ length: comers }, () => new Promise((resolve) => {
    let answer = ""
    const socket = require("node:net").connect(port, "127.0.0.1", () => {
      socket.write("GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n", () => {
        Atomics.add(taken, 0, 1)
        Atomics.notify(taken, 0)
      })
    })
    socket.on("data", (bytes) => answer += bytes.latin1Slice())
    socket.on("error", ({ code }) => resolve(code)).on("close", () => resolve(answer.slice(9, 12)))
  }))
  Promise.all(answers).then((all) => parentPort.postMessage(all))
`

it.live("Promise 9: all clients that are connected when a server is told to stop are answered, however many they are", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { port } = yield* Scope.provide(serve({ host: "127.0.0.1", port: 0, handler }), scope)
    const taken = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(asking, { eval: true, workerData: { comers, port, taken } })
    const answers = new Promise((resolve) => worker.once("message", resolve))
    // The server's thread stands still meanwhile: the system accepts the connections for it.
    for (let there = 0; there < comers; there = taken[0]!) Atomics.wait(taken, 0, there)
    yield* Scope.close(scope, Exit.void)
    assert.deepStrictEqual(yield* Effect.promise(() => answers), Array.from({ length: comers }, () => "200"))
  }))

/** Sends its place at the beginning, and nothing after it. */
const following = (): Streamed => {
  let frame: Uint8Array | undefined = Buffer.from("id: 7\n\n")
  return {
    _tag: "Streamed",
    keepAlive: Buffer.from(": ping\n\n"),
    pull: Effect.suspend(() => {
      const bytes = frame
      frame = undefined
      return bytes === undefined ? Effect.never : Effect.succeed(bytes)
    })
  }
}

it.live("Promise 4: a follower that begins while a server stops is told its place and ended cleanly, and no stop waits for it", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { port } = yield* Scope.provide(serve({ host: "127.0.0.1", port: 0, handler }), scope)
    const wire = yield* Effect.promise(() => Wire.open(port))
    yield* Effect.promise(() => wire.send(request("GET", "/")).reply())
    const from = performance.now()
    const stopped = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    // By then all followers were told, and connections of a moment ago are still open.
    yield* Effect.sleep("50 millis")
    const follower = yield* Effect.promise(() => SseReader.on(wire, "/follow"))
    assert.deepStrictEqual(
      yield* Effect.promise(async () => [(await follower.frame())?.id, await follower.frame()]),
      ["7", undefined]
    )
    yield* Fiber.join(stopped)
    assert.isBelow(performance.now() - from, 1_000)
  }))
