/**
 * The protocol's subscriptions over HTTP (docs/subscriptions.md): everything below `/v1/stream/__ds`. Translates requests
 * to calls and answers back. Paths are taken apart here, since a stream's name is the rest of one, slashes included.
 */
import { Effect, type Layer } from "effect"
import type { KeyFailed } from "../data-directory/key-file.ts"
import type { Overloaded } from "../domain/errors.ts"
import { StorageFailed } from "../domain/errors.ts"
import { mediaType, nameFault } from "../domain/types.ts"
import type { Answer, Incoming } from "../http/exchange.ts"
import { json } from "../http/exchange.ts"
import { PublicUrl } from "../http/public-url.ts"
import type { Route } from "../http/router.ts"
import { decodePercent as decoded, Router } from "../http/router.ts"
import { longestLogName } from "../storage/state-log.ts"
import {
  BodyNotJson,
  BodyTooLarge,
  MethodNotServed,
  PathNotFound,
  RequestInvalid,
  TokenInvalid
} from "./machine/refusals.ts"
import type { Subscription } from "./machine/subscription.ts"
import { ack, claim, release, unlink } from "./machine/transitions.ts"
import { hashOf, toAcks, toConfig, toStreamName, toStreams, toWakeReference, toWorker } from "./request-bodies.ts"
import type { TransitionFailed } from "./running/runner.ts"
import { describeSubscriptions } from "./subscription-api.ts"
import { Subscriptions } from "./subscriptions.ts"
import { Keys } from "./webhook/keys.ts"
import { WebhookSender } from "./webhook/webhook-sender.ts"
import { controlPath, streamsOf, subscriptionOf } from "./wire.ts"

/** The largest body: a thousand names or acknowledgements, as a wake shows them. */
const bodyBytesMax = 256 * 1024

type Failed = TransitionFailed | KeyFailed | Overloaded
type Answering = Effect.Effect<Answer, Failed>

/** The routes of subscriptions. */
export const subscriptionRoutes: Effect.Effect<
  ReadonlyArray<Route>,
  never,
  Subscriptions | WebhookSender | Keys | PublicUrl
> = Effect.gen(
  function*() {
    const subscriptions = yield* Subscriptions
    const sender = yield* WebhookSender
    const keys = yield* Keys
    const publicUrl = yield* PublicUrl
    const baseOf = (request: Incoming) => {
      const base = publicUrl.base(request)
      return base === undefined
        ? Effect.fail(new RequestInvalid({ message: "The Host header is none." }))
        : Effect.succeed(base)
    }

    const shown = (status: number, subscription: Subscription, base: string) =>
      Effect.map(
        subscription.config.type === "webhook" ? keys.publicKey : Effect.undefined,
        (key) => json(status, JSON.stringify(subscriptionOf(subscription, base, key)))
      )

    const put = Effect.fnUntraced(function*(request: Incoming, id: string) {
      const base = yield* baseOf(request)
      const config = yield* toConfig(yield* textOf(request), sender.fault, subscriptions.nameOf)
      const { made, subscription } = yield* subscriptions.put(id, config, hashOf(config), base)
      return yield* shown(made ? 201 : 200, subscription, base)
    })

    const get = Effect.fnUntraced(function*(request: Incoming, id: string) {
      const base = yield* baseOf(request)
      return yield* shown(200, yield* subscriptions.get(id), base)
    })

    const acknowledge = (type: "webhook" | "pull-wake") =>
      Effect.fnUntraced(function*(request: Incoming, id: string) {
        const tokenGeneration = yield* authorised(request, id)
        const acks = yield* toAcks(yield* textOf(request))
        const next = yield* subscriptions.act(id, ack(type, { ...acks, tokenGeneration }))
        return json(200, JSON.stringify({ ok: true, next_wake: next }))
      })

    const authorised = (request: Incoming, id: string) => {
      const token = /^Bearer +(\S+)$/i.exec(request.header("authorization") ?? "")?.[1]
      return token === undefined
        ? Effect.fail(new TokenInvalid({ message: "Send the wake's token: Authorization: Bearer <token>." }))
        : subscriptions.verify(id, token)
    }

    const claimed = Effect.fnUntraced(function*(request: Incoming, id: string) {
      const worker = yield* toWorker(yield* textOf(request))
      const { generation, leaseMillis, streams, subject, wakeId } = yield* subscriptions.act(id, claim(worker))
      const token = yield* keys.mint(subject, generation)
      return json(
        200,
        JSON.stringify({
          wake_id: wakeId,
          generation,
          token,
          streams: streamsOf(streams),
          lease_ttl_ms: leaseMillis
        })
      )
    })

    const released = Effect.fnUntraced(function*(request: Incoming, id: string) {
      const tokenGeneration = yield* authorised(request, id)
      const reference = yield* toWakeReference(yield* textOf(request))
      yield* subscriptions.act(id, release({ ...reference, tokenGeneration }))
      return noContent
    })

    const linked = Effect.fnUntraced(function*(request: Incoming, id: string) {
      yield* subscriptions.addStreams(id, yield* toStreams(yield* textOf(request), subscriptions.nameOf))
      return noContent
    })

    const jwks = Effect.map(keys.publicKey, (key): Answer => ({
      status: 200,
      headers: { "content-type": "application/jwk-set+json", "cache-control": "public, max-age=300" },
      body: JSON.stringify({ keys: [key] })
    }))

    const actions: Readonly<Record<string, (request: Incoming, id: string) => Answering>> = {
      streams: linked,
      callback: acknowledge("webhook"),
      ack: acknowledge("pull-wake"),
      claim: claimed,
      release: released
    }

    const answer = (request: Incoming, path: ReadonlyArray<string>): Answering => {
      const { method } = request
      const [room, rawId = "", action, ...rest] = path
      if (room === "jwks.json" && path.length === 1) return only(["GET", "HEAD"], method, () => jwks)
      if (room !== "subscriptions" || rawId === "") return notFound
      const id = decoded(rawId)
      if (id === undefined || nameFault(longestLogName(id)) !== undefined) return badId
      if (action === undefined) {
        if (method === "PUT") return put(request, id)
        if (method === "DELETE") return Effect.as(subscriptions.remove(id), noContent)
        return only(["GET", "HEAD", "PUT", "DELETE"], method, () => get(request, id))
      }
      if (action === "streams" && rest.length > 0) {
        const name = decoded(rest.join("/"))
        if (name === undefined) return badId
        return only(
          ["DELETE"],
          method,
          () => Effect.flatMap(toStreamName(name), (name) => Effect.as(subscriptions.act(id, unlink(name)), noContent))
        )
      }
      const act = Object.hasOwn(actions, action) && rest.length === 0 ? actions[action] : undefined
      return act === undefined ? notFound : only(["POST"], method, () => act(request, id))
    }

    const handle: Route["handle"] = (request) =>
      Effect.catchTag(
        answer(request, segmentsOf(request.path)),
        "KeyFailed",
        ({ message }) => Effect.fail(new StorageFailed({ message }))
      )
    return methods.map((method) => ({ method, path: `${controlPath}/*`, handle }))
  }
)

/** The subscriptions of the protocol. */
export const subscriptionRoom: Layer.Layer<never, never, Router | Subscriptions | WebhookSender | Keys | PublicUrl> =
  Router.room(
    Effect.map(subscriptionRoutes, (routes) => ({
      routes,
      describe: () => [describeSubscriptions()]
    }))
  )

const methods = ["GET", "PUT", "POST", "DELETE"] as const

const noContent: Answer = { status: 204, headers: {}, body: undefined }
const notFound = Effect.fail(new PathNotFound())
const badId = Effect.fail(
  new RequestInvalid({ message: "The id and the stream in the path are percent-encoded UTF-8, and not too long." })
)

/** The path's segments below the control path, as they came. */
const segmentsOf = (path: string): ReadonlyArray<string> => path.slice(controlPath.length + 1).split("/")

const only = (allowed: ReadonlyArray<string>, method: string, answer: () => Answering): Answering =>
  allowed.includes(method)
    ? answer()
    : Effect.fail(
      new MethodNotServed({
        message: `${method} is not served here; ${allowed.join(", ")} would be.`,
        allow: allowed.join(", ")
      })
    )

const textOf = Effect.fnUntraced(function*(request: Incoming) {
  const type = request.header("content-type")
  if (type !== undefined && mediaType(type) !== "application/json") {
    return yield* new BodyNotJson()
  }
  const bytes = yield* Effect.catchTags(request.body(bodyBytesMax), {
    InvalidRequest: ({ message }) => Effect.fail(new RequestInvalid({ message })),
    PayloadTooLarge: () => Effect.fail(new BodyTooLarge({ message: `The body has at most ${bodyBytesMax} bytes.` }))
  })
  return yield* Effect.try({
    try: () => utf8.decode(bytes),
    catch: () => new RequestInvalid({ message: "The body is not UTF-8." })
  })
})

const utf8 = new TextDecoder("utf-8", { fatal: true })
