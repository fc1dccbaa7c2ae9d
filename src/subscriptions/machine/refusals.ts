/**
 * Refusals of requests about subscriptions. The protocol's clients know each by a code (docs/subscriptions.md 2), so the
 * answer is `{"error":{"code","message",…}}` with the refusal's fields, and no problem.
 */
import { Schema } from "effect"
import type { RefusalBody } from "../../domain/refusal.ts"
import { fieldsOf, Refusal } from "../../domain/refusal.ts"

export type SubscriptionRefused =
  | RequestInvalid
  | WebhookUrlRejected
  | TokenInvalid
  | TokenExpired
  | PathNotFound
  | SubscriptionNotFound
  | MethodNotServed
  | SubscriptionExists
  | WakeFenced
  | AlreadyClaimed
  | NoPendingWork
  | AckOffsetInvalid
  | BodyTooLarge
  | BodyNotJson
  | TooManySubscriptions

const body = (refusal: Error & { readonly code: string }): RefusalBody => {
  const { code, message } = refusal
  return {
    contentType: "application/json",
    text: JSON.stringify({ error: { code, message, ...fieldsOf(refusal) } })
  }
}

/** The request is not of the documented form; `message` says what would be. */
export class RequestInvalid extends Refusal<RequestInvalid>()(
  "RequestInvalid",
  { code: Schema.tag("INVALID_REQUEST"), message: Schema.String },
  { status: 400, title: "The request is not valid", body }
) {}

/** No webhook of that URL is called; `message` says why. */
export class WebhookUrlRejected extends Refusal<WebhookUrlRejected>()(
  "WebhookUrlRejected",
  { code: Schema.tag("WEBHOOK_URL_REJECTED"), message: Schema.String },
  { status: 400, title: "The webhook is not allowed", body }
) {}

export class TokenInvalid extends Refusal<TokenInvalid>()(
  "TokenInvalid",
  { code: Schema.tag("TOKEN_INVALID"), message: Schema.String },
  { status: 401, title: "The token is not valid", body, headers: () => ({ "www-authenticate": "Bearer" }) }
) {}

export class TokenExpired extends Refusal<TokenExpired>()(
  "TokenExpired",
  { code: Schema.tag("TOKEN_EXPIRED") },
  { status: 401, title: "The token has expired", body, headers: () => ({ "www-authenticate": "Bearer" }) }
) {
  override get message() {
    return "The token is too old; the next wake brings a new one."
  }
}

export class PathNotFound extends Refusal<PathNotFound>()(
  "PathNotFound",
  { code: Schema.tag("NOT_FOUND") },
  { status: 404, title: "No such request", body }
) {
  override get message() {
    return "Nothing is served there."
  }
}

export class SubscriptionNotFound extends Refusal<SubscriptionNotFound>()(
  "SubscriptionNotFound",
  { code: Schema.tag("SUBSCRIPTION_NOT_FOUND") },
  { status: 404, title: "No such subscription", body }
) {
  override get message() {
    return "There is no such subscription."
  }
}

/** The path takes other methods; `allow` names them as the header does. */
export class MethodNotServed extends Refusal<MethodNotServed>()(
  "MethodNotServed",
  { code: Schema.tag("METHOD_NOT_ALLOWED"), message: Schema.String, allow: Schema.String },
  { status: 405, title: "Method not allowed", body, headers: ({ allow }) => ({ allow }) }
) {}

export class SubscriptionExists extends Refusal<SubscriptionExists>()(
  "SubscriptionExists",
  { code: Schema.tag("SUBSCRIPTION_ALREADY_EXISTS") },
  { status: 409, title: "The subscription exists", body }
) {
  override get message() {
    return "There is a subscription of that id, made differently."
  }
}

export class WakeFenced extends Refusal<WakeFenced>()(
  "WakeFenced",
  { code: Schema.tag("FENCED") },
  { status: 409, title: "The wake is over", body }
) {
  override get message() {
    return "This wake is over: its lease ended, or it was acknowledged, or another took its place."
  }
}

/** A worker holds the lease; `current_holder` is the name it gave. */
export class AlreadyClaimed extends Refusal<AlreadyClaimed>()(
  "AlreadyClaimed",
  { code: Schema.tag("ALREADY_CLAIMED"), current_holder: Schema.String, generation: Schema.Int },
  { status: 409, title: "Another worker has the work", body }
) {
  override get message() {
    return "Another worker holds this subscription."
  }
}

export class NoPendingWork extends Refusal<NoPendingWork>()(
  "NoPendingWork",
  { code: Schema.tag("NO_PENDING_WORK") },
  { status: 409, title: "Nothing to read", body }
) {
  override get message() {
    return "There is nothing to read."
  }
}

/** A worker acknowledges an offset that its wake does not reach; `message` says why. */
export class AckOffsetInvalid extends Refusal<AckOffsetInvalid>()(
  "AckOffsetInvalid",
  { code: Schema.tag("INVALID_OFFSET"), message: Schema.String },
  { status: 409, title: "The offset cannot be acknowledged", body }
) {}

export class BodyTooLarge extends Refusal<BodyTooLarge>()(
  "BodyTooLarge",
  { code: Schema.tag("PAYLOAD_TOO_LARGE"), message: Schema.String },
  { status: 413, title: "Too large", body }
) {}

export class BodyNotJson extends Refusal<BodyNotJson>()(
  "BodyNotJson",
  { code: Schema.tag("UNSUPPORTED_MEDIA_TYPE") },
  { status: 415, title: "Unsupported media type", body }
) {
  override get message() {
    return "The body is application/json."
  }
}

/** The server keeps no more subscriptions; those it keeps go on. */
export class TooManySubscriptions extends Refusal<TooManySubscriptions>()(
  "TooManySubscriptions",
  { code: Schema.tag("TOO_MANY_SUBSCRIPTIONS"), message: Schema.String },
  { status: 503, title: "Too many subscriptions", body, headers: () => ({ "retry-after": "1" }) }
) {}
