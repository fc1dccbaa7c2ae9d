/**
 * The keys that identify a server, and the tokens that it issues.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { Keys, tokenLifeMillis } from "../../src/subscriptions/webhook/keys.ts"
import { temporaryDirectory } from "../support/served.ts"

const within = <A, E>(directory: string, play: Effect.Effect<A, E, Keys>) =>
  Effect.provide(play, Keys.layer(`${directory}/keys`))

const publicKey = Effect.flatMap(Keys, (keys) => keys.publicKey)

describe("the keys", () => {
  it.effect("are made when they are first needed, whole, and readable by their owner alone", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const key = yield* within(
        directory,
        Effect.gen(function*() {
          yield* Keys
          assert.isFalse(fs.existsSync(`${directory}/keys`))
          return yield* publicKey
        })
      )
      assert.deepStrictEqual(fs.readdirSync(`${directory}/keys`), ["webhook-signing.jwk"])
      const kept = JSON.parse(fs.readFileSync(`${directory}/keys/webhook-signing.jwk`, "utf8")) as Record<
        string,
        string
      >
      assert.strictEqual(kept["x"], key.x)
      assert.isString(kept["d"])
      assert.notInclude(JSON.stringify(key), kept["d"]!)
      const thumbprint = createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${key.x}"}`).digest("base64url")
      assert.strictEqual(key.kid, `ds_${thumbprint}`)
    }).pipe(Effect.scoped))

  it.effect("that a crash left half made are made anew", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      fs.mkdirSync(`${directory}/keys`)
      fs.writeFileSync(`${directory}/keys/webhook-signing.jwk.new`, `{"crv":`, { mode: 0o644 })
      yield* within(directory, publicKey)
      assert.deepStrictEqual(fs.readdirSync(`${directory}/keys`), ["webhook-signing.jwk"])
      assert.strictEqual(fs.statSync(`${directory}/keys/webhook-signing.jwk`).mode & 0o777, 0o600)
    }).pipe(Effect.scoped))

  it.effect("are refused, left alone and not quoted if they are no keys; a server uses them once they are right", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const file = `${directory}/keys/webhook-signing.jwk`
      yield* within(
        directory,
        Effect.gen(function*() {
          const { kid } = yield* publicKey
          const good = fs.readFileSync(file, "utf8")
          for (
            const bad of [
              "",
              "secret",
              `{"kty":"oct","k":"secret"}`,
              good.slice(0, -2),
              good.replace("Ed25519", "X25519")
            ]
          ) {
            fs.writeFileSync(file, bad)
            const again = within(directory, publicKey)
            const { message } = yield* Effect.flip(again)
            assert.include(message, "it is not one")
            assert.notInclude(message, "secret")
            assert.strictEqual(fs.readFileSync(file, "utf8"), bad)
          }
          fs.writeFileSync(file, good)
          assert.strictEqual((yield* within(directory, publicKey)).kid, kid)
        })
      )
    }).pipe(Effect.scoped))
})

describe("a token", () => {
  it.effect("is valid for one subject, and for a day", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      yield* within(
        directory,
        Effect.gen(function*() {
          const keys = yield* Keys
          const token = yield* keys.mint("one", 7)
          assert.strictEqual(yield* keys.verify(token, "one"), 7)
          assert.strictEqual(
            (yield* Effect.flip(keys.verify(token, "other"))).message,
            "The token is not one for this subscription."
          )
          yield* TestClock.adjust(tokenLifeMillis - 1)
          assert.strictEqual(yield* keys.verify(token, "one"), 7)
          yield* TestClock.adjust(1)
          assert.deepInclude(yield* Effect.flip(keys.verify(token, "one")), { code: "TOKEN_EXPIRED" })
        })
      )
    }).pipe(Effect.scoped))
})
