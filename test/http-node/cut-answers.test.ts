/**
 * An answer that the server could not finish is cut, and never ends as if it were whole.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as Http from "node:http"
import { serve } from "../../src/http-node/node-server.ts"
import type { Streamed } from "../../src/http/exchange.ts"

/** Bytes of a body that never ends by itself, as far as its reader takes them. */
const endless = (keepAlive: Uint8Array | undefined): Streamed => ({
  _tag: "Streamed",
  pull: Effect.sync(() => Buffer.alloc(64 * 1024, "line\n")),
  keepAlive
})

/** The end of an answer for a reader who stops reading until the server has been stopped. */
const endOf = (body: Streamed) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const answer = { status: 200, headers: {}, body }
    const server = serve({ host: "127.0.0.1", port: 0, handler: () => Effect.succeed(answer) })
    const { port } = yield* Scope.provide(server, scope)
    const response = yield* Effect.promise(() =>
      new Promise<Http.IncomingMessage>((resolve) => Http.get({ host: "127.0.0.1", port, agent: false }, resolve))
    )
    const ended = new Promise<"ended" | "cut">((resolve) => {
      response.once("end", () => resolve("ended")).once("error", () => resolve("cut"))
    })
    const stopped = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    response.resume()
    yield* Fiber.join(stopped)
    return yield* Effect.promise(() => ended)
  })

it.live("Promise 10: a long answer that a stopping server cannot finish is cut, so that a part is not taken for the whole", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* endOf(endless(undefined)), "cut")
  }))

it.live("a stopping server ends a following, so that its reader knows to come again", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* endOf(endless(Buffer.from(": here\n\n"))), "ended")
  }))
