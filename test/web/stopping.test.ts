/**
 * What a server that stops does for those who have just come.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { Worker } from "node:worker_threads"
import { serve } from "../../src/web-node/node-server.ts"

const comers = 40

const handler = () => Effect.succeed({ status: 200, headers: {}, body: "ok" })

/** Asks on as many connections as it is told to, says when the system has taken all of them, and then what they got. */
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

it.live("Promise 9: all who were connected when a server was told to stop are answered, however many they are", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { port } = yield* Scope.provide(serve({ host: "127.0.0.1", port: 0, handler }), scope)
    const taken = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(asking, { eval: true, workerData: { comers, port, taken } })
    const answers = new Promise((resolve) => worker.once("message", resolve))
    // The server's thread stands still meanwhile: the system takes them for it.
    for (let there = 0; there < comers; there = taken[0]!) Atomics.wait(taken, 0, there)
    yield* Scope.close(scope, Exit.void)
    assert.deepStrictEqual(yield* Effect.promise(() => answers), Array.from({ length: comers }, () => "200"))
  }))
