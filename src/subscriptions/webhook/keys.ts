/**
 * The keys of the server: an Ed25519 key, by which webhooks know that a wake comes from this server, and a secret, by which
 * the server knows its own tokens again. Both are made at first need and outlive the process.
 */
import { Clock, Context, Effect, Layer } from "effect"
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign
} from "node:crypto"
import * as Path from "node:path"
import type { KeyFailed } from "../../data-directory/key-file.ts"
import { keptKey } from "../../data-directory/key-file.ts"
import type { SubscriptionRefused } from "../machine/refusals.ts"
import { TokenExpired, TokenInvalid } from "../machine/refusals.ts"
import type { TokenClaims } from "./tokens.ts"
import { mintToken, readToken } from "./tokens.ts"

/** The public key as the receivers of webhooks read it (RFC 8037). */
export interface PublicJwk {
  readonly kty: "OKP"
  readonly crv: "Ed25519"
  readonly kid: string
  readonly use: "sig"
  readonly alg: "EdDSA"
  readonly x: string
}

/**
 * How long a token lasts. Its lease and the generation end a worker's right before that; this is the time after which a
 * leaked token is worthless in any case. It is longer than the work on one wake.
 */
export const tokenLifeMillis = 24 * 60 * 60 * 1000

export class Keys extends Context.Service<Keys, {
  readonly publicKey: Effect.Effect<PublicJwk, KeyFailed>
  /** The value of `Webhook-Signature` for a body. */
  readonly signature: (body: string) => Effect.Effect<string, KeyFailed>
  readonly mint: (subject: string, generation: number) => Effect.Effect<string, KeyFailed>
  /** The generation that the token is for; refused if it is for another subject, or too old. */
  readonly verify: (token: string, subject: string) => Effect.Effect<number, KeyFailed | SubscriptionRefused>
}>()("durable-streams/subscriptions/webhook/keys") {
  /** Keeps the keys in the directory, also if the streams are kept in memory: receivers may remember the keys. */
  static readonly layer = (directory: string): Layer.Layer<Keys> =>
    Layer.effect(
      Keys,
      Effect.gen(function*() {
        const signing = yield* runOnce(
          keptKey(Path.join(directory, "webhook-signing.jwk"), readSigningKey, makeSigningKey)
        )
        const secret = yield* runOnce(keptKey(Path.join(directory, "callback-tokens.jwk"), readSecret, makeSecret))
        return Keys.of({
          publicKey: Effect.map(signing, ({ publicKey }) => publicKey),
          signature: (body) =>
            Effect.zipWith(signing, Clock.currentTimeMillis, ({ privateKey, publicKey }, now) => {
              const time = Math.floor(now / 1000)
              const signature = sign(null, Buffer.from(`${time}.${body}`), privateKey).toString("base64url")
              return `t=${time},kid=${publicKey.kid},ed25519=${signature}`
            }),
          mint: (subject, generation) =>
            Effect.zipWith(
              secret,
              Clock.currentTimeMillis,
              (secret, now) => mintToken(secret, { subject, generation, expires: now + tokenLifeMillis })
            ),
          verify: Effect.fnUntraced(function*(token, subject) {
            const claims: TokenClaims | undefined = readToken(yield* secret, token)
            if (claims === undefined || claims.subject !== subject) {
              return yield* new TokenInvalid({ message: "The token is not one for this subscription." })
            }
            if (claims.expires <= (yield* Clock.currentTimeMillis)) {
              return yield* new TokenExpired()
            }
            return claims.generation
          })
        })
      })
    )
}

/** Runs the effect until it succeeds once; after a failure, the next caller runs it again. */
const runOnce = <A>(effect: Effect.Effect<A, KeyFailed>) =>
  Effect.sync(() => {
    let kept: { readonly value: A } | undefined
    return Effect.suspend(() =>
      kept === undefined
        ? Effect.map(effect, (value) => (kept = { value }).value)
        : Effect.succeed(kept.value)
    )
  })

const makeSigningKey = (): string => JSON.stringify(generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }))

const readSigningKey = (text: string): { readonly privateKey: KeyObject; readonly publicKey: PublicJwk } => {
  const privateKey = createPrivateKey({ key: JSON.parse(text), format: "jwk" })
  const { crv, kty, x } = createPublicKey(privateKey).export({ format: "jwk" })
  if (kty !== "OKP" || crv !== "Ed25519" || x === undefined) throw new TypeError("not an Ed25519 key")
  // The thumbprint of RFC 7638 and RFC 8037 2: these members, in this order.
  const thumbprint = createHash("sha256").update(JSON.stringify({ crv, kty, x })).digest("base64url")
  return { privateKey, publicKey: { kty, crv, kid: `ds_${thumbprint}`, use: "sig", alg: "EdDSA", x } }
}

const makeSecret = (): string => JSON.stringify(createSecretKey(randomBytes(secretBytes)).export({ format: "jwk" }))

const readSecret = (text: string): KeyObject => {
  const { k, kty } = JSON.parse(text) as { readonly k?: unknown; readonly kty?: unknown }
  if (kty !== "oct" || typeof k !== "string") throw new TypeError("not a secret")
  const bytes = Buffer.from(k, "base64url")
  if (bytes.length < secretBytes) throw new TypeError("too short")
  return createSecretKey(bytes)
}

/** As long as the output of HMAC-SHA-256 (RFC 2104 3). */
const secretBytes = 32
