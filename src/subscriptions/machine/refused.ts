/**
 * Why a request about a subscription is refused: the protocol's codes, each with its status.
 */
import { Schema } from "effect"

/** Codes and statuses as the protocol's clients know them (docs/subscriptions.md 2). */
export const codes = {
  INVALID_REQUEST: 400,
  WEBHOOK_URL_REJECTED: 400,
  TOKEN_INVALID: 401,
  TOKEN_EXPIRED: 401,
  NOT_FOUND: 404,
  SUBSCRIPTION_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  SUBSCRIPTION_ALREADY_EXISTS: 409,
  FENCED: 409,
  ALREADY_CLAIMED: 409,
  NO_PENDING_WORK: 409,
  INVALID_OFFSET: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  TOO_MANY_SUBSCRIPTIONS: 503
} as const

export type Code = keyof typeof codes

/** The request is refused; `details` stand beside code and message in the answer. */
export class SubscriptionRefused extends Schema.TaggedError<SubscriptionRefused>()("SubscriptionRefused", {
  code: Schema.Literals(Object.keys(codes) as ReadonlyArray<Code>),
  message: Schema.String,
  details: Schema.Record(Schema.String, Schema.Json)
}) {}

export const refused = (code: Code, message: string, details: Readonly<Record<string, string | number>> = {}) =>
  new SubscriptionRefused({ code, message, details })
