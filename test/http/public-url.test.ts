/**
 * The address of a server without a public address: it is the one at which the present request reached it.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { Incoming } from "../../src/http/exchange.ts"
import { PublicUrl } from "../../src/http/public-url.ts"

const baseFor = (host: string) =>
  Effect.map(PublicUrl, ({ base }) => base({ header: () => host } as Partial<Incoming> as Incoming)).pipe(
    Effect.provide(Layer.orDie(PublicUrl.layer))
  )

const longest = `${"a".repeat(63)}.${"b".repeat(189)}`

it.effect("the address is kept as it came, with its port", () =>
  Effect.gen(function*() {
    for (const host of ["localhost:3000", "127.0.0.1", "[::1]:65535", `${longest}:3000`]) {
      assert.strictEqual(yield* baseFor(host), `http://${host}`)
    }
  }))

it.effect("a value that is no host, or longer than a name can be, gives no address", () =>
  Effect.gen(function*() {
    for (const host of ["", "a b", "a/b", "[::1", "localhost:", `${longest}c`, `[${":".repeat(46)}]`]) {
      assert.isUndefined(yield* baseFor(host))
    }
  }))
