/**
 * Subscriptions over HTTP: made, woken, acknowledged, claimed, and refused, as the protocol's clients see it.
 */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { createPublicKey, type JsonWebKey, verify } from "node:crypto"
import type { StreamManager } from "../../src/manager/stream-manager.ts"
import { offsetOf } from "../support/names.ts"
import { answering, receiver } from "./receiver.ts"
import type { WakeStream } from "./stage.ts"
import { append, stage } from "./stage.ts"
import { served } from "./subscription-server.ts"

const streamsIn = (body: Record<string, unknown>) => body["streams"] as ReadonlyArray<WakeStream>
const codeIn = (body: Record<string, unknown>) => (body["error"] as { readonly code: string }).code

/** Asks until the answer is the wanted one: for work that ends soon after an answer. */
const eventually = <A>(asking: Effect.Effect<A>, wanted: (a: A) => boolean): Effect.Effect<A> =>
  Effect.filterOrElse(asking, wanted, () => eventually(asking, wanted))

describe("webhooks over HTTP", () => {
  it.live("a subscription is made, an append calls its webhook, and the callback moves the cursor", () =>
    Effect.gen(function*() {
      const { base, say } = yield* served
      const hook = yield* receiver(answering(200, "{}"))
      const made = yield* say("PUT", "subscriptions/sub-1", {
        type: "webhook",
        pattern: "events/*",
        webhook: { url: hook.url },
        lease_ttl_ms: 1000,
        description: "for the test"
      })
      assert.strictEqual(made.status, 201)
      const { signing, url } = made.body["webhook"] as {
        readonly url: string
        readonly signing: { readonly alg: string; readonly kid: string; readonly jwks_url: string }
      }
      assert.strictEqual(url, hook.url)
      assert.strictEqual(signing.alg, "ed25519")
      assert.strictEqual(signing.jwks_url, `${base}/v1/stream/__ds/jwks.json`)

      yield* append("events/a", { event: "first" })
      const { body, headers, text } = yield* hook.call(0)
      assert.strictEqual(body.subscription_id, "sub-1")
      assert.strictEqual(body.generation, 1)
      assert.strictEqual(body.callback_url, `${base}/v1/stream/__ds/subscriptions/sub-1/callback`)
      assert.deepStrictEqual(body.streams, [
        { path: "events/a", link_type: "glob", acked_offset: "-1", tail_offset: offsetOf(1), has_pending: true }
      ])

      const jwks = yield* say("GET", signing.jwks_url)
      assert.strictEqual(jwks.headers.get("content-type"), "application/jwk-set+json")
      assert.strictEqual(jwks.headers.get("cache-control"), "public, max-age=300")
      const keys = jwks.body["keys"] as ReadonlyArray<JsonWebKey & { readonly kid: string }>
      const [, time, kid, signature] = /^t=(\d+),kid=(ds_[^,]+),ed25519=([\w-]+)$/.exec(
        String(headers["webhook-signature"])
      )!
      assert.strictEqual(kid, signing.kid)
      const key = createPublicKey({ key: keys.find((key) => key.kid === kid)!, format: "jwk" })
      assert.isTrue(verify(null, Buffer.from(`${time}.${text}`), key, Buffer.from(signature!, "base64url")))
      assert.isFalse(verify(null, Buffer.from(`${time}.${text} `), key, Buffer.from(signature!, "base64url")))

      const authorization = { authorization: `Bearer ${body.callback_token}` }
      const ack = {
        wake_id: body.wake_id,
        generation: body.generation,
        acks: [{ stream: "events/a", offset: offsetOf(1) }],
        done: true
      }
      const callback = yield* say("POST", body.callback_url, ack, authorization)
      assert.deepStrictEqual([callback.status, callback.body], [200, { ok: true, next_wake: false }])
      const stale = yield* say("POST", body.callback_url, ack, authorization)
      assert.deepStrictEqual([stale.status, codeIn(stale.body)], [409, "FENCED"])
      const now = yield* say("GET", "subscriptions/sub-1")
      assert.strictEqual(streamsIn(now.body)[0]!.acked_offset, offsetOf(1))
    }).pipe(Effect.scoped, Effect.provide(stage)))

  it.live("a webhook that answers done has processed the events it was shown, and is woken for those that came meanwhile", () =>
    Effect.gen(function*() {
      const { say } = yield* served
      let second = true
      const services = yield* Effect.context<StreamManager>()
      const hook = yield* receiver((response) => {
        const more = second ? append("events/a", "during") : Effect.void
        second = false
        Effect.runForkWith(services)(Effect.andThen(more, Effect.sync(() => answering(200, `{"done":true}`)(response))))
      })
      yield* say("PUT", "subscriptions/sync", { type: "webhook", pattern: "events/*", webhook: { url: hook.url } })
      yield* append("events/a", "first")
      const first = yield* hook.call(0)
      const next = yield* hook.call(1)
      assert.deepStrictEqual([first.body.generation, next.body.generation], [1, 2])
      assert.notStrictEqual(first.body.wake_id, next.body.wake_id)
      assert.deepStrictEqual(next.body.streams.map((s) => [s.acked_offset, s.tail_offset]), [[
        offsetOf(1),
        offsetOf(2)
      ]])
      yield* eventually(
        say("GET", "subscriptions/sync"),
        ({ body }) => streamsIn(body)[0]!.acked_offset === offsetOf(2)
      )
    }).pipe(Effect.scoped, Effect.provide(stage)))
})

describe("a server with a public address", () => {
  it.live("gives it to webhooks and in its answers", () =>
    Effect.gen(function*() {
      const { say } = yield* served
      const hook = yield* receiver(answering(200, "{}"))
      const made = yield* say("PUT", "subscriptions/s", {
        type: "webhook",
        pattern: "events/*",
        webhook: { url: hook.url }
      })
      const { signing } = made.body["webhook"] as { readonly signing: { readonly jwks_url: string } }
      assert.strictEqual(signing.jwks_url, "https://streams.example/sub/v1/stream/__ds/jwks.json")
      yield* append("events/a", 1)
      const { body } = yield* hook.call(0)
      assert.strictEqual(body.callback_url, "https://streams.example/sub/v1/stream/__ds/subscriptions/s/callback")
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provide(
        stage,
        ConfigProvider.layer(
          ConfigProvider.fromUnknown({ DURABLE_STREAMS: { PUBLIC_URL: "https://streams.example/sub/" } })
        )
      ))
    ))
})

describe("pull-wake over HTTP", () => {
  it.live("a wake event is written, one worker claims, acknowledges, and may release", () =>
    Effect.gen(function*() {
      const { say } = yield* served
      yield* append("wake/pool", "begin")
      const made = yield* say("PUT", "subscriptions/pull", {
        type: "pull-wake",
        pattern: "events/*",
        wake_stream: "wake/pool",
        lease_ttl_ms: 1000
      })
      assert.strictEqual(made.status, 201)
      assert.strictEqual(made.body["webhook"], null)
      const idle = yield* say("POST", "subscriptions/pull/claim", { worker: "worker-1" })
      assert.deepStrictEqual([idle.status, codeIn(idle.body)], [409, "NO_PENDING_WORK"])

      yield* append("events/p", "first")
      const claim = yield* say("POST", "subscriptions/pull/claim", { worker: "worker-1" })
      assert.strictEqual(claim.status, 200)
      assert.strictEqual(claim.body["lease_ttl_ms"], 1000)
      const busy = yield* say("POST", "subscriptions/pull/claim", { worker: "worker-2" })
      assert.deepStrictEqual([busy.status, busy.body["error"]], [409, {
        code: "ALREADY_CLAIMED",
        message: "Another worker holds this subscription.",
        current_holder: "worker-1",
        generation: 1
      }])
      const reference = { wake_id: claim.body["wake_id"], generation: claim.body["generation"] }
      const authorization = { authorization: `Bearer ${String(claim.body["token"])}` }
      const heartbeat = yield* say("POST", "subscriptions/pull/ack", reference, authorization)
      assert.deepStrictEqual(heartbeat.body, { ok: true, next_wake: false })
      const ack = yield* say("POST", "subscriptions/pull/ack", {
        ...reference,
        acks: [{ stream: "events/p", offset: offsetOf(1) }],
        done: true
      }, authorization)
      assert.deepStrictEqual([ack.status, ack.body], [200, { ok: true, next_wake: false }])

      yield* append("events/p", "second")
      const again = yield* say("POST", "subscriptions/pull/claim", { worker: "worker-2" })
      assert.strictEqual(again.body["generation"], 2)
      assert.strictEqual(streamsIn(again.body)[0]!.acked_offset, offsetOf(1))
      const release = yield* say("POST", "subscriptions/pull/release", {
        wake_id: again.body["wake_id"],
        generation: 2
      }, { authorization: `Bearer ${String(again.body["token"])}` })
      assert.strictEqual(release.status, 204)
      const third = yield* say("POST", "subscriptions/pull/claim", { worker: "worker-1" })
      assert.strictEqual(third.body["generation"], 3)
    }).pipe(Effect.scoped, Effect.provide(stage)))
})
