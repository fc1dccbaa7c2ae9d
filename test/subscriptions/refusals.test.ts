/**
 * The refusals of requests about subscriptions, each with a sentence that says which request would work.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHmac } from "node:crypto"
import * as fs from "node:fs"
import { toAnswer } from "../../src/http/problem.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import { Storage } from "../../src/storage/storage.ts"
import { TooManySubscriptions } from "../../src/subscriptions/machine/refusals.ts"
import { WebhookSender } from "../../src/subscriptions/webhook/webhook-sender.ts"
import { temporaryDirectory } from "../support/served.ts"
import { append, layerOn, stage } from "./stage.ts"
import { served } from "./subscription-server.ts"

/** Another last letter that a lenient reader takes for the same bytes. */
const nextLetter = (letter: string): string => String.fromCharCode(letter.charCodeAt(0) + 1)

const codeIn = (body: Record<string, unknown>) => (body["error"] as { readonly code: string } | undefined)?.code

const webhook = { type: "webhook", pattern: "events/*", webhook: { url: "https://worker.example/" } }
const pull = { type: "pull-wake", pattern: "events/*", wake_stream: "wake/pool" }

describe("a subscription is not made of", () => {
  const bad: ReadonlyArray<readonly [what: string, body: unknown, code: string]> = [
    ["no JSON", "{", "INVALID_REQUEST"],
    ["nothing", "", "INVALID_REQUEST"],
    ["something else", [], "INVALID_REQUEST"],
    ["an unknown type", { ...webhook, type: "email" }, "INVALID_REQUEST"],
    ["no streams", { type: "webhook", webhook: webhook.webhook }, "INVALID_REQUEST"],
    ["no stream", { type: "webhook", streams: [], webhook: webhook.webhook }, "INVALID_REQUEST"],
    ["an empty pattern", { ...webhook, pattern: "/" }, "INVALID_REQUEST"],
    ["half a star", { ...webhook, pattern: "events/a*" }, "INVALID_REQUEST"],
    ["a pattern that is none", { ...webhook, pattern: 7 }, "INVALID_REQUEST"],
    ["streams that are none", { ...webhook, streams: [7] }, "INVALID_REQUEST"],
    ["an empty name", { ...webhook, streams: ["/"] }, "INVALID_REQUEST"],
    ["a name with a control character", { ...webhook, streams: ["a\u0000"] }, "INVALID_REQUEST"],
    ["a reserved name", { ...webhook, streams: ["__ds/subscriptions/x"] }, "INVALID_REQUEST"],
    ["no webhook", { ...webhook, webhook: undefined }, "INVALID_REQUEST"],
    ["no wake stream", { ...pull, wake_stream: undefined }, "INVALID_REQUEST"],
    ["a reserved wake stream", { ...pull, wake_stream: "__ds/wake" }, "INVALID_REQUEST"],
    ["its own wake stream", { ...pull, streams: ["wake/pool"] }, "INVALID_REQUEST"],
    ["a lease that is too short", { ...webhook, lease_ttl_ms: 999 }, "INVALID_REQUEST"],
    ["a lease that is too long", { ...webhook, lease_ttl_ms: 600_001 }, "INVALID_REQUEST"],
    ["a lease that is not whole", { ...webhook, lease_ttl_ms: 1500.5 }, "INVALID_REQUEST"],
    ["a lease that is text", { ...webhook, lease_ttl_ms: "30000" }, "INVALID_REQUEST"],
    ["a long description", { ...webhook, description: "a".repeat(1025) }, "INVALID_REQUEST"],
    ["a webhook within", { ...webhook, webhook: { url: "http://10.0.0.1/hook" } }, "WEBHOOK_URL_REJECTED"],
    ["a webhook that is no URL", { ...webhook, webhook: { url: "worker" } }, "WEBHOOK_URL_REJECTED"]
  ]
  for (const [what, body, code] of bad) {
    it.live(what, () =>
      Effect.gen(function*() {
        const { say } = yield* served
        const answer = yield* say("PUT", "subscriptions/s", body)
        assert.deepStrictEqual([answer.status, codeIn(answer.body)], [400, code])
        assert.strictEqual((yield* say("GET", "subscriptions/s")).status, 404)
      }).pipe(Effect.scoped, Effect.provide(stage)))
  }
})

describe("subscriptions over HTTP", () => {
  it.live("are confirmed to a client that sends the same, even in other words, and refused to all others", () =>
    Effect.gen(function*() {
      const { say } = yield* served
      const body = { ...webhook, streams: ["b", "a"], description: "d" }
      const made = yield* say("PUT", "subscriptions/s", body)
      assert.strictEqual(made.status, 201)
      const same = [
        { ...body, streams: ["/a/", "b", "a"], pattern: "/events/*", lease_ttl_ms: 30_000, wake_stream: "ignored" },
        { ...made.body, streams: ["a", "b"] }
      ]
      for (const one of same) assert.strictEqual((yield* say("PUT", "subscriptions/s", one)).status, 200)
      const others = [{ pattern: "other/*" }, { streams: ["a"] }, { lease_ttl_ms: 2000 }, { description: null }]
      for (const other of [...others, { webhook: { url: "https://other.example/" } }]) {
        const answer = yield* say("PUT", "subscriptions/s", { ...body, ...other })
        assert.deepStrictEqual([answer.status, codeIn(answer.body)], [409, "SUBSCRIPTION_ALREADY_EXISTS"])
      }
    }).pipe(Effect.scoped, Effect.provide(stage)))

  it.live("have ids of any kind, and streams whose names are paths", () =>
    Effect.gen(function*() {
      const { say } = yield* served
      const id = encodeURIComponent("Ünï/cödé ✓ ..%2F")
      assert.strictEqual((yield* say("PUT", `subscriptions/${id}`, webhook)).status, 201)
      assert.strictEqual((yield* say("POST", `subscriptions/${id}/streams`, { streams: ["a/b/c", "ö"] })).status, 204)
      assert.strictEqual((yield* say("POST", `subscriptions/${id}/streams`, { streams: ["ö"] })).status, 204)
      const streams = (yield* say("GET", `subscriptions/${id}`)).body["streams"]
      const link = { link_type: "explicit", acked_offset: "-1" }
      assert.deepStrictEqual(streams, [{ path: "a/b/c", ...link }, { path: "ö", ...link }])
      for (const path of ["a/b/c", encodeURIComponent("ö"), "absent", encodeURIComponent("a/b/c")]) {
        assert.strictEqual((yield* say("DELETE", `subscriptions/${id}/streams/${path}`)).status, 204)
      }
      assert.deepStrictEqual((yield* say("GET", `subscriptions/${id}`)).body["streams"], [])
      assert.strictEqual((yield* say("DELETE", `subscriptions/${id}`)).status, 204)
      assert.strictEqual((yield* say("DELETE", `subscriptions/${id}`)).status, 204)
      assert.strictEqual((yield* say("GET", `subscriptions/${id}`)).status, 404)
    }).pipe(Effect.scoped, Effect.provide(stage)))

  it.live("are refused if they are not found, not served this way, or not understood", () =>
    Effect.gen(function*() {
      const { say } = yield* served
      yield* say("PUT", "subscriptions/s", webhook)
      const long = "a".repeat(600)
      const cases: ReadonlyArray<readonly [method: string, path: string, status: number, code: string]> = [
        ["GET", "subscriptions", 404, "NOT_FOUND"],
        ["GET", "subscriptions/", 404, "NOT_FOUND"],
        ["GET", "other", 404, "NOT_FOUND"],
        ["GET", "jwks.json/x", 404, "NOT_FOUND"],
        ["POST", "jwks.json", 405, "METHOD_NOT_ALLOWED"],
        ["POST", "subscriptions/s", 405, "METHOD_NOT_ALLOWED"],
        ["GET", "subscriptions/s/claim", 405, "METHOD_NOT_ALLOWED"],
        ["GET", "subscriptions/s/streams/a", 405, "METHOD_NOT_ALLOWED"],
        ["POST", "subscriptions/s/toString", 404, "NOT_FOUND"],
        ["POST", "subscriptions/s/claim/x", 404, "NOT_FOUND"],
        ["GET", "subscriptions/none", 404, "SUBSCRIPTION_NOT_FOUND"],
        ["GET", `subscriptions/${long}`, 400, "INVALID_REQUEST"],
        ["GET", "subscriptions/%00", 400, "INVALID_REQUEST"],
        ["DELETE", "subscriptions/s/streams/__ds%2Fx", 400, "INVALID_REQUEST"]
      ]
      for (const [method, path, status, code] of cases) {
        const answer = yield* say(method, path)
        assert.deepStrictEqual([answer.status, codeIn(answer.body)], [status, code], `${method} ${path}`)
      }
      for (const action of ["streams", "claim"]) {
        const answer = yield* say("POST", `subscriptions/none/${action}`, { streams: ["a"], worker: "w" })
        assert.deepStrictEqual([answer.status, codeIn(answer.body)], [404, "SUBSCRIPTION_NOT_FOUND"])
      }
      const large = yield* say("PUT", "subscriptions/t", `{"description":"${"a".repeat(300_000)}"}`)
      assert.deepStrictEqual([large.status, codeIn(large.body)], [413, "PAYLOAD_TOO_LARGE"])
      const form = yield* say("PUT", "subscriptions/t", "a=b", { "content-type": "text/plain" })
      assert.deepStrictEqual([form.status, codeIn(form.body)], [415, "UNSUPPORTED_MEDIA_TYPE"])
      const nobody = yield* say("POST", "subscriptions/s/claim", { worker: "" })
      assert.deepStrictEqual([nobody.status, codeIn(nobody.body)], [400, "INVALID_REQUEST"])
    }).pipe(Effect.scoped, Effect.provide(stage)))

  it.live("are refused in the protocol's form, with the headers that belong to the status", () =>
    Effect.gen(function*() {
      const { say } = yield* served
      const refusal = Effect.fnUntraced(function*(method: string, path: string, body?: unknown) {
        const { body: sent, headers, status } = yield* say(method, path, body)
        const named = ["content-type", "www-authenticate", "allow", "retry-after"].flatMap((name) =>
          headers.get(name) ?? []
        )
        return [status, ...named, JSON.stringify(sent)]
      })
      yield* append("wake/pool", 0)
      yield* say("PUT", "subscriptions/s", pull)
      yield* append("events/a", 1)
      yield* say("POST", "subscriptions/s/claim", { worker: "me" })
      assert.deepStrictEqual(yield* refusal("POST", "subscriptions/s/claim", { worker: "you" }), [
        409,
        "application/json",
        `{"error":{"code":"ALREADY_CLAIMED","message":"Another worker holds this subscription.",` +
        `"current_holder":"me","generation":1}}`
      ])
      assert.deepStrictEqual(yield* refusal("POST", "subscriptions/s/ack", {}), [
        401,
        "application/json",
        "Bearer",
        `{"error":{"code":"TOKEN_INVALID","message":"Send the wake's token: Authorization: Bearer <token>."}}`
      ])
      assert.deepStrictEqual(yield* refusal("GET", "subscriptions/s/claim"), [
        405,
        "application/json",
        "POST",
        `{"error":{"code":"METHOD_NOT_ALLOWED","message":"GET is not served here; POST would be.","allow":"POST"}}`
      ])
      assert.deepStrictEqual(yield* refusal("GET", "subscriptions/none"), [
        404,
        "application/json",
        `{"error":{"code":"SUBSCRIPTION_NOT_FOUND","message":"There is no such subscription."}}`
      ])
      assert.deepStrictEqual(yield* refusal("PUT", "subscriptions/t", `"${"a".repeat(300_000)}"`), [
        413,
        "application/json",
        `{"error":{"code":"PAYLOAD_TOO_LARGE","message":"The body has at most 262144 bytes."}}`
      ])
    }).pipe(Effect.scoped, Effect.provide(stage)))

  it("are refused with a time to come again if there are too many", () => {
    assert.deepStrictEqual(toAnswer(new TooManySubscriptions({ message: "As many as it keeps." })), {
      status: 503,
      headers: { "content-type": "application/json", "retry-after": "1" },
      body: `{"error":{"code":"TOO_MANY_SUBSCRIPTIONS","message":"As many as it keeps."}}`
    })
  })

  it.live("believe only their own token, of this generation, and reveal nothing about it", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      yield* Effect.gen(function*() {
        const { say } = yield* served
        yield* append("wake/pool", 0)
        for (const id of ["one", "two"]) yield* say("PUT", `subscriptions/${id}`, pull)
        yield* append("events/a", 1)
        const claim = (id: string) => say("POST", `subscriptions/${id}/claim`, { worker: "w" })
        const one = (yield* claim("one")).body as { readonly token: string; readonly wake_id: string }
        const two = (yield* claim("two")).body as { readonly token: string }
        const request = {
          wake_id: one.wake_id,
          generation: 1,
          acks: [{ stream: "events/a", offset: "0".repeat(15) + "1" }]
        }
        const ack = (authorization: string | undefined, body: unknown = request) =>
          say("POST", "subscriptions/one/ack", body, authorization === undefined ? {} : { authorization })

        const [claims = "", signature = ""] = one.token.split(".")
        const forged = Buffer.from(JSON.stringify(["x", 1, 2 ** 50])).toString("base64url")
        const bad = [
          undefined,
          "",
          one.token,
          `Basic ${one.token}`,
          "Bearer",
          "Bearer x",
          "Bearer .",
          `Bearer ${two.token}`,
          `Bearer ${claims}`,
          `Bearer ${claims}.`,
          // A lenient reader of base64url ignores these.
          ...["=", "==", "!!", ".", "A", "%3D", "\u00a0"].map((more) => `Bearer ${one.token}${more}`),
          `Bearer ${claims}=.${signature}`,
          `Bearer ${claims}.${signature.slice(0, 20)}!${signature.slice(20)}`,
          `Bearer ${claims}.${signature.slice(0, -1)}${nextLetter(signature.at(-1)!)}`,
          `Bearer ${claims}.${signature.slice(1)}`,
          `Bearer ${claims}.${signature.replace(/^./, (c) => c === "A" ? "B" : "A")}`,
          `Bearer ${forged}.${signature}`,
          `Bearer ${forged}.${createHmac("sha256", "").update(forged).digest("base64url")}`,
          `Bearer ${"a".repeat(5_000)}.${signature}`
        ]
        for (const authorization of bad) {
          const answer = yield* ack(authorization)
          assert.deepStrictEqual([answer.status, codeIn(answer.body)], [401, "TOKEN_INVALID"], authorization)
        }
        const good = `Bearer ${one.token}`
        for (const other of [{ wake_id: "w_other" }, { generation: 0 }, { generation: 2 }]) {
          assert.strictEqual(codeIn((yield* ack(good, { ...request, ...other })).body), "FENCED")
        }
        for (
          const offset of [
            "-1",
            "1",
            "now",
            "0000000000000002",
            "9999999999999999",
            "0000000000000000_0000000000000001"
          ]
        ) {
          const acks = [{ stream: "events/a", offset }]
          assert.strictEqual(codeIn((yield* ack(good, { ...request, acks })).body), "INVALID_OFFSET", offset)
        }
        for (const acks of [[{ offset: "0" }], [{ stream: "events/a" }], "all"]) {
          assert.strictEqual(codeIn((yield* ack(good, { ...request, acks })).body), "INVALID_REQUEST")
        }
        assert.strictEqual((yield* ack(good)).status, 200)

        const secrets = fs.readdirSync(`${directory}/keys`).map((file) =>
          fs.readFileSync(`${directory}/keys/${file}`, "utf8")
        )
        assert.isFalse(secrets.some((text) => text.includes(one.token) || text.includes(signature)))
        const storage = yield* Storage
        for (const name of (yield* storage.list()).filter((name) => name.startsWith("__ds/"))) {
          const { state } = yield* storage.open(name)
          assert.isFalse([...state.values()].some((text) => text.includes(signature)), "tokens are kept nowhere")
        }
      }).pipe(
        Effect.scoped,
        Effect.provide(layerOn(layerMemory, `${directory}/keys`, WebhookSender.layer(true)))
      )
    }).pipe(Effect.scoped))
})
