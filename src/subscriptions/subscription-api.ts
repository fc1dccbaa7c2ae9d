/**
 * The protocol's subscriptions as a group of an `HttpApi`, for `/openapi.json` and `/docs` (docs/subscriptions.md).
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { AckBody, ClaimBody, PutBody, StreamsBody, WakeBody } from "./request-bodies.ts"

/** Made when a client first asks for the description. */
export const describeSubscriptions = () =>
  HttpApiGroup.make("subscriptions").add(
    HttpApiEndpoint.put("putSubscription", `${root}/:id`, {
      params: id,
      payload: PutBody,
      success: [Subscription.pipe(HttpApiSchema.status(201)), Subscription],
      error: [invalid, conflict, tooLarge, otherType, tooMany]
    }).annotate(OpenApi.Summary, "Makes a subscription, or confirms it"),
    HttpApiEndpoint.get("getSubscription", `${root}/:id`, {
      params: id,
      success: Subscription,
      error: [invalid, unknown]
    }).annotate(OpenApi.Summary, "Shows a subscription"),
    HttpApiEndpoint.delete("deleteSubscription", `${root}/:id`, {
      params: id,
      success: HttpApiSchema.NoContent,
      error: [invalid]
    }).annotate(OpenApi.Summary, "Deletes a subscription, if it is there"),
    HttpApiEndpoint.post("linkStreams", `${root}/:id/streams`, {
      params: id,
      payload: StreamsBody,
      success: HttpApiSchema.NoContent,
      error: [invalid, unknown, tooLarge, otherType]
    }).annotate(OpenApi.Summary, "Links streams by name"),
    HttpApiEndpoint.delete("unlinkStream", `${root}/:id/streams/:name`, {
      params: { ...id, name: Schema.String },
      success: HttpApiSchema.NoContent,
      error: [invalid, unknown]
    }).annotate(OpenApi.Summary, "Links a stream no longer"),
    HttpApiEndpoint.post("claimWake", `${root}/:id/claim`, {
      params: id,
      payload: ClaimBody,
      success: Schema.Struct({ ...WakeBody.fields, token: Schema.String, streams, lease_ttl_ms: Schema.Int }),
      error: [invalid, unknown, conflict, tooLarge, otherType]
    }).annotate(OpenApi.Summary, "A worker claims the wake that waits"),
    HttpApiEndpoint.post("acknowledgeByWorker", `${root}/:id/ack`, acknowledgement).annotate(
      OpenApi.Summary,
      "A worker acknowledges what it has read"
    ),
    HttpApiEndpoint.post("acknowledgeByWebhook", `${root}/:id/callback`, acknowledgement).annotate(
      OpenApi.Summary,
      "A webhook acknowledges what it has read"
    ),
    HttpApiEndpoint.post("releaseWake", `${root}/:id/release`, {
      params: id,
      headers: token,
      payload: WakeBody,
      success: HttpApiSchema.NoContent,
      error: [invalid, unauthorised, unknown, conflict, tooLarge, otherType]
    }).annotate(OpenApi.Summary, "A worker gives its wake back"),
    HttpApiEndpoint.get("publicKeys", "/v1/stream/__ds/jwks.json", {
      success: Schema.Struct({ keys: Schema.Array(Schema.Json) }).pipe(
        HttpApiSchema.asJson({ contentType: "application/jwk-set+json" })
      )
    }).annotate(OpenApi.Summary, "The keys that sign webhooks (RFC 7517)")
  ).annotateMerge(OpenApi.annotations({
    title: "Subscriptions",
    description: "Webhooks and workers that are woken when streams grow."
  }))

const root = "/v1/stream/__ds/subscriptions"

const id = { id: Schema.String }

const link = {
  path: Schema.String,
  link_type: Schema.Literals(["explicit", "glob"]),
  acked_offset: Schema.String
}

const Subscription = Schema.Struct({
  id: Schema.String,
  subscription_id: Schema.String,
  type: Schema.Literals(["webhook", "pull-wake"]),
  pattern: Schema.NullOr(Schema.String),
  streams: Schema.Array(Schema.Struct(link)),
  webhook: Schema.NullOr(Schema.Struct({
    url: Schema.String,
    signing: Schema.optionalKey(
      Schema.Struct({ alg: Schema.Literal("ed25519"), kid: Schema.String, jwks_url: Schema.String })
    )
  })),
  wake_stream: Schema.NullOr(Schema.String),
  lease_ttl_ms: Schema.Int,
  created_at: Schema.String,
  status: Schema.Literals(["active", "failed"]),
  description: Schema.NullOr(Schema.String)
})

const streams = Schema.Array(Schema.Struct({ ...link, tail_offset: Schema.String, has_pending: Schema.Boolean }))

const token = { authorization: Schema.String.annotate({ description: "Bearer, and the wake's token" }) }

/** In the protocol's own form. */
const Refusal = (status: number, description: string) =>
  Schema.Struct({ error: Schema.Struct({ code: Schema.String, message: Schema.String }) }).pipe(
    HttpApiSchema.status(status)
  ).annotate({ description })

const invalid = Refusal(400, "INVALID_REQUEST, WEBHOOK_URL_REJECTED")
const unauthorised = Refusal(401, "TOKEN_INVALID, TOKEN_EXPIRED")
const unknown = Refusal(404, "SUBSCRIPTION_NOT_FOUND, NOT_FOUND")
const conflict = Refusal(
  409,
  "SUBSCRIPTION_ALREADY_EXISTS, FENCED, ALREADY_CLAIMED, NO_PENDING_WORK, INVALID_OFFSET"
)
const tooLarge = Refusal(413, "PAYLOAD_TOO_LARGE")
const otherType = Refusal(415, "UNSUPPORTED_MEDIA_TYPE")
const tooMany = Refusal(503, "TOO_MANY_SUBSCRIPTIONS")

const acknowledgement = {
  params: id,
  headers: token,
  payload: AckBody,
  success: Schema.Struct({ ok: Schema.Literal(true), next_wake: Schema.Boolean }),
  error: [invalid, unauthorised, unknown, conflict, tooLarge, otherType]
} as const
