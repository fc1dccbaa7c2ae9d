/**
 * Where others reach a server that was not told: where the request at hand reached it.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { PublicUrl } from "../../src/subscriptions/public-url.ts"
import type { Incoming } from "../../src/web/exchange.ts"

const baseFor = (host: string) =>
  Effect.flatMap(PublicUrl, ({ base }) => base({ header: () => host } as Partial<Incoming> as Incoming)).pipe(
    Effect.provide(Layer.orDie(PublicUrl.layer))
  )

const longest = `${"a".repeat(63)}.${"b".repeat(189)}`

it.effect("is kept as it came, with its port", () =>
  Effect.gen(function*() {
    for (const host of ["localhost:3000", "127.0.0.1", "[::1]:65535", `${longest}:3000`]) {
      assert.strictEqual(yield* baseFor(host), `http://${host}`)
    }
  }))

it.effect("Promise 11: what is none, or longer than a name can be, is refused", () =>
  Effect.gen(function*() {
    for (const host of ["", "a b", "a/b", "[::1", "localhost:", `${longest}c`, `[${":".repeat(46)}]`]) {
      assert.strictEqual((yield* Effect.flip(baseFor(host))).code, "INVALID_REQUEST")
    }
  }))
