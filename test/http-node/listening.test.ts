/**
 * Connections that the system could not give to the server.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { listen } from "../../src/http-node/listening.ts"

it.live("Promise 11: a server that cannot accept a connection says so, once for many of them, and goes on", () => {
  const said: Array<unknown> = []
  const logger = Logger.layer([Logger.make(({ logLevel, message }) => void said.push([logLevel, message].flat()))])
  return Effect.gen(function*() {
    const server = Http.createServer((_, response) => void response.end("ok"))
    yield* listen(server, { host: "127.0.0.1", port: 0 })
    // As Node reports it when the system has no descriptor left (net.js, onconnection).
    for (let i = 0; i < 3; i++) server.emit("error", Object.assign(new Error("accept EMFILE"), { code: "EMFILE" }))
    const { port } = server.address() as AddressInfo
    const answer = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } }))
    assert.strictEqual(answer.status, 200)
    server.close()
    assert.deepStrictEqual(said, [["Error", "A connection could not be accepted"]])
  }).pipe(Effect.provide(logger))
})
