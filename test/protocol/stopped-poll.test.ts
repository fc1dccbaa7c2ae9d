/**
 * Long-polls of a server that is told to stop.
 */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Server } from "../../src/durable-streams/server.ts"
import { offsetOf } from "../support/names.ts"
import { append, layerServer } from "../support/served.ts"
import { request, Wire } from "../support/wire.ts"

it.live("a long-poll that waits while the server stops is answered with the tail, as if its time had run out", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { port } = Context.get(yield* Layer.buildWithScope(layerServer(), scope), Server)
    const ask = (target: string) => Effect.promise(async () => (await Wire.open(port)).send(request("GET", target)))
    yield* Effect.promise(() => append(port, "s", "1"))
    const wires = [
      yield* ask("/v1/stream/s?offset=now&live=long-poll"),
      yield* ask(`/v1/stream/s?offset=${offsetOf(1)}&live=long-poll`)
    ]
    const followers = async () => {
      const health = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as {
        readonly usage: { readonly followers: number }
      }
      return health.usage.followers
    }
    while ((yield* Effect.promise(followers)) < wires.length) yield* Effect.yieldNow
    const stopped = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    for (const wire of wires) {
      const { headers, status } = yield* Effect.promise(() => wire.reply())
      assert.strictEqual(status, 204)
      assert.strictEqual(headers["stream-next-offset"], offsetOf(1))
      assert.strictEqual(headers["stream-up-to-date"], "true")
      assert.isString(headers["stream-cursor"])
      assert.isTrue(yield* Effect.promise(() => wire.ended()))
    }
    yield* Fiber.join(stopped)
  }))
