/**
 * A webhook is never sent to the server that calls it, however its address is written: the token would become an event.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { isOwn, type Own, OwnAddress, ownFault } from "../../src/subscriptions/webhook/own-address.ts"
import { type Resolve, WebhookSender } from "../../src/subscriptions/webhook/webhook-sender.ts"
import { layerServer, talk } from "../support/served.ts"
import { answering, receiver } from "./receiver.ts"

const own: Own = {
  listening: { host: "127.0.0.1", port: 4000 },
  publicUrl: "https://streams.example/sub"
}

const resolvingTo = (address: string): Resolve => (_, __, callback) => callback(null, [{ address, family: 4 }])

describe("Promise 12: a webhook to the server itself is refused", () => {
  const refused = [
    "http://127.0.0.1:4000/v1/stream/loop",
    "http://127.0.0.1:4000/anything",
    "http://127.0.0.2:4000/",
    "http://localhost:4000/streams/loop",
    "HTTP://LOCALHOST:04000/",
    "https://streams.example/sub/v1/stream/loop",
    "https://STREAMS.example:443/sub/streams/loop",
    "https://streams.example/sub//v1/%73tream/loop",
    "https://streams.example/other/../sub/streams"
  ]
  for (const url of refused) it(url, () => assert.match(ownFault(new URL(url), own) ?? "", /this server itself/))

  const allowed = [
    "http://127.0.0.1:4001/v1/stream/loop",
    "http://localhost/",
    "https://streams.example/hooks/wake",
    "https://streams.example/v1/stream/x",
    "https://streams.example/sub/streamsandmore",
    "https://streams.example:8443/sub/streams/loop",
    "https://other.example/sub/streams/%ff"
  ]
  for (const url of allowed) {
    it(`${url} is not the server's address`, () => assert.isUndefined(ownFault(new URL(url), own)))
  }

  it("each address of this machine is the server's on the port on which it listens, in whatever notation", () => {
    const everywhere: Own = { listening: { host: "0.0.0.0", port: 443 }, publicUrl: undefined }
    const url = new URL("https://alias.example/")
    for (const address of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0"]) {
      assert.isTrue(isOwn(url, address, everywhere), address)
    }
    assert.isFalse(isOwn(url, "8.8.8.8", everywhere))
    assert.isFalse(isOwn(new URL("https://alias.example:8443/"), "127.0.0.1", everywhere))
    assert.isFalse(isOwn(url, "127.0.0.1", { listening: undefined, publicUrl: undefined }), "not listening yet")
  })

  it.live("a name that turns out to mean the server is refused at every call, too", () =>
    Effect.gen(function*() {
      const hook = yield* receiver(answering(200, "{}"))
      const here: { -readonly [Key in keyof Own]: Own[Key] } = { listening: undefined, publicUrl: undefined }
      const sender = yield* Effect.provide(
        WebhookSender,
        Layer.provide(WebhookSender.layer(true, resolvingTo("127.0.0.1")), Layer.succeed(OwnAddress, here))
      )
      const url = hook.url.replace("127.0.0.1", "localhost")
      yield* sender.post(url, "{}", {})
      here.listening = { host: "127.0.0.1", port: Number(new URL(url).port) }
      assert.match((yield* Effect.flip(sender.post(url, "{}", {}))).message, /this server itself/)
      assert.strictEqual(hook.received.length, 1)
      assert.match(sender.fault(url) ?? "", /this server itself/)
      // Only a look-up shows that a public name means an address of this machine.
      const elsewhere = yield* Effect.provide(
        WebhookSender,
        Layer.provide(
          WebhookSender.layer(false, resolvingTo("8.8.8.8")),
          Layer.succeed(OwnAddress, { listening: { host: "8.8.8.8", port: 443 }, publicUrl: undefined })
        )
      )
      assert.isUndefined(elsewhere.fault("https://alias.example/"))
      const { message } = yield* Effect.flip(elsewhere.post("https://alias.example/", "{}", {}))
      assert.match(message, /stands for no address/)
    }).pipe(Effect.scoped))
})

const subscribing = (port: number, url: string) =>
  fetch(`http://127.0.0.1:${port}/v1/stream/__ds/subscriptions/s`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: "webhook", pattern: "**", webhook: { url } })
  })

layer(
  layerServer().pipe(
    Layer.provide(
      ConfigProvider.layer(ConfigProvider.fromUnknown({ DURABLE_STREAMS: { PUBLIC_URL: "https://streams.example/" } }))
    )
  )
)("Promise 12: a running server", (it) => {
  it.effect("knows its own addresses", () =>
    talk(async (port) => {
      const urls = [
        `http://127.0.0.1:${port}/v1/stream/loop`,
        `http://localhost:${port}/`,
        "https://streams.example/v1/stream/loop"
      ]
      for (const url of urls) {
        const answer = await subscribing(port, url)
        const { error } = await answer.json() as { readonly error: { readonly code: string; readonly message: string } }
        assert.deepStrictEqual([answer.status, error.code], [400, "WEBHOOK_URL_REJECTED"], url)
        assert.match(error.message, /this server itself/)
      }
      assert.strictEqual((await subscribing(port, "http://127.0.0.1:9/hook")).status, 201)
    }))
})
