/**
 * Refusals that have to do with no stream: of the request itself, or of the server as a whole. Browser-safe: imports nothing
 * but `effect`.
 */
import { Schema } from "effect"
import { Refusal } from "./refusal.ts"

/** The request cannot mean anything; `message` says what would. */
export class InvalidRequest extends Refusal<InvalidRequest>()(
  "InvalidRequest",
  { message: Schema.String },
  { status: 400, title: "The request is not valid" }
) {}

/** The caller may not do this (promise 12). */
export class AccessRefused extends Refusal<AccessRefused>()(
  "AccessRefused",
  { message: Schema.String },
  { status: 403, title: "Not allowed" }
) {}

export class RouteNotFound extends Refusal<RouteNotFound>()(
  "RouteNotFound",
  { path: Schema.String },
  { status: 404, title: "No such page" }
) {
  override get message() {
    return `Nothing is served at ${this.path}. See /docs for what is.`
  }
}

export class MethodNotAllowed extends Refusal<MethodNotAllowed>()(
  "MethodNotAllowed",
  { method: Schema.String, allow: Schema.Array(Schema.String) },
  { status: 405, title: "Method not allowed", headers: ({ allow }) => ({ allow: allow.join(", ") }) }
) {
  override get message() {
    return `${this.method} is not served here; ${this.allow.join(", ")} ${this.allow.length === 1 ? "is" : "are"}.`
  }
}

export class PayloadTooLarge extends Refusal<PayloadTooLarge>()(
  "PayloadTooLarge",
  { bytesMax: Schema.Int },
  { status: 413, title: "Too large" }
) {
  override get message() {
    return `The body is larger than ${this.bytesMax} bytes. Send less, or start the server with a larger --max-body.`
  }
}

export class UnsupportedMediaType extends Refusal<UnsupportedMediaType>()(
  "UnsupportedMediaType",
  { message: Schema.String },
  { status: 415, title: "Unsupported media type" }
) {}

/** The request asks for something of HTTP that is not there: an unknown coding of its body. */
export class NotImplemented extends Refusal<NotImplemented>()(
  "NotImplemented",
  { message: Schema.String },
  { status: 501, title: "Not implemented" }
) {}

export class VersionNotSupported extends Refusal<VersionNotSupported>()(
  "VersionNotSupported",
  {},
  { status: 505, title: "Another version of HTTP" }
) {
  override get message() {
    return "This server speaks HTTP/1.1 and HTTP/1.0. Send the request as one of them."
  }
}

/** The request was for the server of another data directory, whose port this one has now (RFC 9110 15.5.20). */
export class OtherServer extends Refusal<OtherServer>()("OtherServer", {}, { status: 421, title: "Another server" }) {
  override get message() {
    return "This server has another data directory than the one it was asked for. Look for that one's server again."
  }
}

/** A defect of ours. The server's log tells more under the same request id. */
export class InternalError extends Refusal<InternalError>()(
  "InternalError",
  { requestId: Schema.String },
  { status: 500, title: "The server failed" }
) {
  override get message() {
    return `The server made a mistake. Its log says more under the request id ${this.requestId}.`
  }
}

/** A limit that protects the server was reached; the same request may work a moment later. */
export class Overloaded extends Refusal<Overloaded>()(
  "Overloaded",
  {
    message: Schema.String,
    /** Where it is a number that somebody set. */
    limit: Schema.optionalKey(Schema.Int)
  },
  { status: 503, title: "Too busy", headers: () => ({ "retry-after": "1" }) }
) {}
