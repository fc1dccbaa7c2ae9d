/**
 * The protocol's subscriptions over HTTP (docs/subscriptions.md): everything below `/v1/stream/__ds`. It translates requests
 * to calls, and results to answers. It takes paths apart by itself, because the name of a stream is the rest of a path,
 * slashes included.
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
import { subscriptionOf } from "./answers.ts"
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
import { controlPath, streamsOf } from "./running/wake-messages.ts"
import { describeSubscriptions } from "./subscription-api.ts"
import { Subscriptions } from "./subscriptions.ts"
import { Keys } from "./webhook/keys.ts"
import { WebhookSender } from "./webhook/webhook-sender.ts"

/** The largest body: a thousand names or acknowledgements, as many as a wake shows. */
const bodyBytesMax = 256 * 1024

type Failed = TransitionFailed | KeyFailed | Overloaded
type Answering = Effect.Effect<Answer, Failed>

/** The routes of subscriptions. */
export const subscriptionRoutes: Effect.Effect<
  ReadonlyArray<Route>,
  never,
  Subscriptions | WebhookSender | Keys | PublicUrl
> = Effect.gen(function*() {
  const handlers = yield* makeHandlers
  const handle: Route["handle"] = (request) =>
    Effect.catchTag(
      answer(handlers, request, segmentsOf(request.path)),
      "KeyFailed",
      ({ message }) => Effect.fail(new StorageFailed({ message }))
    )
  return methods.map((method) => ({ method, path: `${controlPath}/*`, handle }))
})

/** The subscriptions of the protocol. */
export const subscriptionRoom: Layer.Layer<never, never, Router | Subscriptions | WebhookSender | Keys | PublicUrl> =
  Router.room(Effect.map(subscriptionRoutes, (routes) => ({ routes, describe: () => [describeSubscriptions()] })))

type Handler = (request: Incoming, id: string) => Answering

interface Handlers {
  readonly put: Handler
  readonly get: Handler
  readonly remove: (id: string) => Answering
  readonly unlink: (id: string, stream: string) => Answering
  /** Those of `POST subscriptions/:id/<name>`. */
  readonly actions: Readonly<Record<string, Handler>>
  readonly jwks: Answering
}

const makeHandlers = Effect.gen(function*() {
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

  const toAnswer = (status: number, subscription: Subscription, base: string) =>
    Effect.map(
      subscription.config.type === "webhook" ? keys.publicKey : Effect.undefined,
      (key) => json(status, JSON.stringify(subscriptionOf(subscription, base, key)))
    )

  const put = Effect.fnUntraced(function*(request: Incoming, id: string) {
    const base = yield* baseOf(request)
    const config = yield* toConfig(yield* textOf(request), sender.fault, subscriptions.nameOf)
    const { made, subscription } = yield* subscriptions.put(id, config, hashOf(config), base)
    return yield* toAnswer(made ? 201 : 200, subscription, base)
  })

  const get = Effect.fnUntraced(function*(request: Incoming, id: string) {
    const base = yield* baseOf(request)
    return yield* toAnswer(200, yield* subscriptions.get(id), base)
  })

  const verifyToken = (request: Incoming, id: string) => {
    const token = /^Bearer +(\S+)$/i.exec(request.header("authorization") ?? "")?.[1]
    return token === undefined
      ? Effect.fail(new TokenInvalid({ message: "Send the wake's token: Authorization: Bearer <token>." }))
      : subscriptions.verify(id, token)
  }

  const acknowledge = (type: "webhook" | "pull-wake") =>
    Effect.fnUntraced(function*(request: Incoming, id: string) {
      const tokenGeneration = yield* verifyToken(request, id)
      const acks = yield* toAcks(yield* textOf(request))
      const next = yield* subscriptions.act(id, ack(type, { ...acks, tokenGeneration }))
      return json(200, JSON.stringify({ ok: true, next_wake: next }))
    })

  const claimWork = Effect.fnUntraced(function*(request: Incoming, id: string) {
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

  const releaseWork = Effect.fnUntraced(function*(request: Incoming, id: string) {
    const tokenGeneration = yield* verifyToken(request, id)
    const reference = yield* toWakeReference(yield* textOf(request))
    yield* subscriptions.act(id, release({ ...reference, tokenGeneration }))
    return noContent
  })

  const link = Effect.fnUntraced(function*(request: Incoming, id: string) {
    yield* subscriptions.addStreams(id, yield* toStreams(yield* textOf(request), subscriptions.nameOf))
    return noContent
  })

  return {
    put,
    get,
    remove: (id) => Effect.as(subscriptions.remove(id), noContent),
    unlink: (id, stream) =>
      Effect.flatMap(toStreamName(stream), (name) => Effect.as(subscriptions.act(id, unlink(name)), noContent)),
    actions: {
      streams: link,
      callback: acknowledge("webhook"),
      ack: acknowledge("pull-wake"),
      claim: claimWork,
      release: releaseWork
    },
    jwks: Effect.map(keys.publicKey, (key): Answer => ({
      status: 200,
      headers: { "content-type": "application/jwk-set+json", "cache-control": "public, max-age=300" },
      body: JSON.stringify({ keys: [key] })
    }))
  } satisfies Handlers as Handlers
})

/** Finds the handler of a request by the segments of its path. */
const answer = (handlers: Handlers, request: Incoming, path: ReadonlyArray<string>): Answering => {
  const { method } = request
  const [room, rawId = "", action, ...rest] = path
  if (room === "jwks.json" && path.length === 1) return only(["GET", "HEAD"], method, () => handlers.jwks)
  if (room !== "subscriptions" || rawId === "") return notFound
  const id = decoded(rawId)
  if (id === undefined || nameFault(longestLogName(id)) !== undefined) return badId
  if (action === undefined) {
    if (method === "PUT") return handlers.put(request, id)
    if (method === "DELETE") return handlers.remove(id)
    return only(["GET", "HEAD", "PUT", "DELETE"], method, () => handlers.get(request, id))
  }
  if (action === "streams" && rest.length > 0) {
    const name = decoded(rest.join("/"))
    return name === undefined ? badId : only(["DELETE"], method, () => handlers.unlink(id, name))
  }
  const act = Object.hasOwn(handlers.actions, action) && rest.length === 0 ? handlers.actions[action] : undefined
  return act === undefined ? notFound : only(["POST"], method, () => act(request, id))
}

const methods = ["GET", "PUT", "POST", "DELETE"] as const

const noContent: Answer = { status: 204, headers: {}, body: undefined }
const notFound = Effect.fail(new PathNotFound())
const badId = Effect.fail(
  new RequestInvalid({ message: "The id and the stream in the path are percent-encoded UTF-8, and not too long." })
)

/** The segments of the path below the control path, still encoded. */
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
