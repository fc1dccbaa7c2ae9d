/**
 * Every refusal: what can happen to a request, with its HTTP status. Browser-safe: imports nothing but `effect`.
 */
import { Schema } from "effect"
import { Offset } from "./types.ts"

const quoted = (text: string) => JSON.stringify(text)

/**
 * Status and title of every refusal, as RFC 9457 shows them. 422, 412 and 507 are DESIGN's words; 410 is what a follower
 * of a deleted stream is told, and whoever asks for one that only its forks still read.
 */
export const refusals = {
  InvalidRequest: { status: 400, title: "The request is not valid" },
  AccessRefused: { status: 403, title: "Not allowed" },
  ProducerFenced: { status: 403, title: "A newer producer has taken over" },
  StreamNotFound: { status: 404, title: "No such stream" },
  RouteNotFound: { status: 404, title: "No such page" },
  MethodNotAllowed: { status: 405, title: "Method not allowed" },
  StreamClosed: { status: 409, title: "The stream is closed" },
  StreamExists: { status: 409, title: "The stream exists" },
  ContentTypeMismatch: { status: 409, title: "Another content type" },
  SequenceRegression: { status: 409, title: "The sequence went back" },
  ProducerGap: { status: 409, title: "A producer's append is missing" },
  SourceGone: { status: 409, title: "The source was deleted" },
  StreamDeleted: { status: 410, title: "The stream was deleted" },
  StreamGone: { status: 410, title: "The stream was deleted" },
  OffsetBeyondTail: { status: 410, title: "The stream does not reach that far" },
  OtherLife: { status: 410, title: "Another stream of that name" },
  PreconditionFailed: { status: 412, title: "A precondition does not hold" },
  TailMismatch: { status: 412, title: "The stream has moved on" },
  PayloadTooLarge: { status: 413, title: "Too large" },
  UnsupportedMediaType: { status: 415, title: "Unsupported media type" },
  OtherServer: { status: 421, title: "Another server" },
  HookError: { status: 422, title: "Refused by a hook" },
  TooManyProducers: { status: 429, title: "Too many producers" },
  NotImplemented: { status: 501, title: "Not implemented" },
  VersionNotSupported: { status: 505, title: "Another version of HTTP" },
  StorageFailed: { status: 500, title: "The storage failed" },
  InternalError: { status: 500, title: "The server failed" },
  LogDamaged: { status: 500, title: "The log is damaged" },
  Overloaded: { status: 503, title: "Too busy" },
  StorageUnavailable: { status: 503, title: "The storage cannot be used now" },
  StorageFull: { status: 507, title: "The disk is full" },
  TooManyStreams: { status: 507, title: "Too many streams" }
} as const

const status = (tag: keyof typeof refusals) => ({ httpApiStatus: refusals[tag].status })

/** The request cannot mean anything; `message` says what would. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()(
  "InvalidRequest",
  { message: Schema.String },
  status("InvalidRequest")
) {}

/** The caller may not do this (promise 12). */
export class AccessRefused extends Schema.TaggedError<AccessRefused>()(
  "AccessRefused",
  { message: Schema.String },
  status("AccessRefused")
) {}

/** The request asks for something of HTTP that is not there: an unknown coding of its body. */
export class NotImplemented extends Schema.TaggedError<NotImplemented>()(
  "NotImplemented",
  { message: Schema.String },
  status("NotImplemented")
) {}

export class VersionNotSupported extends Schema.TaggedError<VersionNotSupported>()(
  "VersionNotSupported",
  {},
  status("VersionNotSupported")
) {
  override get message() {
    return "This server speaks HTTP/1.1 and HTTP/1.0. Send the request as one of them."
  }
}

export class StreamNotFound extends Schema.TaggedError<StreamNotFound>()(
  "StreamNotFound",
  { stream: Schema.String },
  status("StreamNotFound")
) {
  override get message() {
    return `There is no stream named ${quoted(this.stream)}. The first append makes it.`
  }
}

export class RouteNotFound extends Schema.TaggedError<RouteNotFound>()(
  "RouteNotFound",
  { path: Schema.String },
  status("RouteNotFound")
) {
  override get message() {
    return `Nothing is served at ${this.path}. See /docs for what is.`
  }
}

export class MethodNotAllowed extends Schema.TaggedError<MethodNotAllowed>()(
  "MethodNotAllowed",
  { method: Schema.String, allow: Schema.Array(Schema.String) },
  status("MethodNotAllowed")
) {
  override get message() {
    return `${this.method} is not served here; ${this.allow.join(", ")} ${this.allow.length === 1 ? "is" : "are"}.`
  }
}

/** Nothing more can be appended. `tail` is the offset the next event would have had. */
export class StreamClosed extends Schema.TaggedError<StreamClosed>()(
  "StreamClosed",
  { stream: Schema.String, tail: Offset },
  status("StreamClosed")
) {
  override get message() {
    return `The stream ${quoted(this.stream)} is closed; its tail is ${this.tail}.`
  }
}

/** The stream a follower was reading was deleted. */
export class StreamDeleted extends Schema.TaggedError<StreamDeleted>()(
  "StreamDeleted",
  { stream: Schema.String },
  status("StreamDeleted")
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was deleted.`
  }
}

/** The stream was deleted and is kept only for its forks; its name is free again when the last of them is deleted. */
export class StreamGone extends Schema.TaggedError<StreamGone>()(
  "StreamGone",
  { stream: Schema.String },
  status("StreamGone")
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was deleted; it is kept only for the forks that read it.`
  }
}

/** What is to be forked was deleted and is kept only for other forks. */
export class SourceGone extends Schema.TaggedError<SourceGone>()(
  "SourceGone",
  { stream: Schema.String },
  status("SourceGone")
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was deleted; it cannot be forked any more.`
  }
}

/** A stream of that name was made otherwise; `difference` names what differs. */
export class StreamExists extends Schema.TaggedError<StreamExists>()(
  "StreamExists",
  { stream: Schema.String, difference: Schema.String },
  status("StreamExists")
) {
  override get message() {
    return `There is a stream named ${quoted(this.stream)} already, and it differs in ${this.difference}.`
  }
}

/** What was sent is not of the stream's type. */
export class ContentTypeMismatch extends Schema.TaggedError<ContentTypeMismatch>()(
  "ContentTypeMismatch",
  { stream: Schema.String, contentType: Schema.String },
  status("ContentTypeMismatch")
) {
  override get message() {
    return `The stream ${quoted(this.stream)} holds ${this.contentType} and nothing else.`
  }
}

/** A `Stream-Seq` that is not greater than the last one, byte for byte. */
export class SequenceRegression extends Schema.TaggedError<SequenceRegression>()(
  "SequenceRegression",
  { stream: Schema.String, last: Schema.String },
  status("SequenceRegression")
) {
  override get message() {
    return `The sequence must be greater than ${quoted(this.last)}, the last one of ${quoted(this.stream)}.`
  }
}

/** A producer of a newer epoch has written meanwhile; `epoch` is that epoch. */
export class ProducerFenced extends Schema.TaggedError<ProducerFenced>()(
  "ProducerFenced",
  { stream: Schema.String, producer: Schema.String, epoch: Schema.Int },
  status("ProducerFenced")
) {
  override get message() {
    return `The producer ${quoted(this.producer)} is at epoch ${this.epoch} on ${quoted(this.stream)}; ` +
      `to take over, begin epoch ${this.epoch + 1} with sequence 0.`
  }
}

/** An append of this producer before this one never arrived. */
export class ProducerGap extends Schema.TaggedError<ProducerGap>()(
  "ProducerGap",
  { stream: Schema.String, producer: Schema.String, expected: Schema.Int, received: Schema.Int },
  status("ProducerGap")
) {
  override get message() {
    return `The producer ${quoted(this.producer)} sent sequence ${this.received}; ${this.expected} is next.`
  }
}

/** The caller expected the next event at `expected`, but the tail is `tail`. */
export class TailMismatch extends Schema.TaggedError<TailMismatch>()(
  "TailMismatch",
  { stream: Schema.String, expected: Offset, tail: Offset },
  status("TailMismatch")
) {
  override get message() {
    return `The stream ${quoted(this.stream)} has moved on: the tail is ${this.tail}, not ${this.expected}.`
  }
}

/** `If-Match` or `If-None-Match` does not hold for the stream; `tail` is where it stands, if it is there. */
export class PreconditionFailed extends Schema.TaggedError<PreconditionFailed>()(
  "PreconditionFailed",
  { stream: Schema.String, tail: Schema.optionalKey(Offset) },
  status("PreconditionFailed")
) {
  override get message() {
    const stands = this.tail === undefined ? "there is no such stream" : `its tail is ${this.tail}`
    return `The stream ${quoted(this.stream)} is not as If-Match or If-None-Match wants it: ${stands}.`
  }
}

export class PayloadTooLarge extends Schema.TaggedError<PayloadTooLarge>()(
  "PayloadTooLarge",
  { bytesMax: Schema.Int },
  status("PayloadTooLarge")
) {
  override get message() {
    return `The body is larger than ${this.bytesMax} bytes. Send less, or start the server with a larger --max-body.`
  }
}

/** The stream knows as many producers as it may; those it knows go on. */
export class TooManyProducers extends Schema.TaggedError<TooManyProducers>()(
  "TooManyProducers",
  { stream: Schema.String, limit: Schema.Int },
  status("TooManyProducers")
) {
  override get message() {
    return `The stream ${quoted(this.stream)} knows ${this.limit} producers, as many as one may; they go on. ` +
      "Use one of them again with its next epoch, or start the server with a larger --max-producers."
  }
}

/** There are as many streams as there may be; they go on. */
export class TooManyStreams extends Schema.TaggedError<TooManyStreams>()(
  "TooManyStreams",
  { limit: Schema.Int },
  status("TooManyStreams")
) {
  override get message() {
    return `This server keeps as many streams as it may (${this.limit}); they go on. ` +
      "Delete one, or start the server with a larger --max-streams."
  }
}

export class UnsupportedMediaType extends Schema.TaggedError<UnsupportedMediaType>()(
  "UnsupportedMediaType",
  { message: Schema.String },
  status("UnsupportedMediaType")
) {}

/** The medium under the stream failed. Nothing of the append was kept; what was acknowledged before still is. */
export class StorageFailed extends Schema.TaggedError<StorageFailed>()(
  "StorageFailed",
  { message: Schema.String },
  status("StorageFailed")
) {}

/**
 * The medium is whole and cannot be used: it is read-only, no file can be opened, the directory is not there. Nothing of the
 * append was kept; appends work again when that is over.
 */
export class StorageUnavailable extends Schema.TaggedError<StorageUnavailable>()(
  "StorageUnavailable",
  { message: Schema.String },
  status("StorageUnavailable")
) {}

/** What a storage says of its medium. */
export type StorageError = StorageFailed | StorageUnavailable

/** No space left. Nothing of the append was kept; appends work again when there is space. */
export class StorageFull extends Schema.TaggedError<StorageFull>()(
  "StorageFull",
  { message: Schema.String },
  status("StorageFull")
) {}

/**
 * Bytes of the log are not what was written. Everything before `offset` can be read; nothing from there to `resumesAt`,
 * where that is known, can.
 */
export class LogDamaged extends Schema.TaggedError<LogDamaged>()(
  "LogDamaged",
  { stream: Schema.String, offset: Offset },
  status("LogDamaged")
) {
  override get message() {
    return `The log of ${quoted(this.stream)} is damaged at offset ${this.offset}; what is before it can be read.`
  }
}

/** The request was for the server of another data directory, whose port this one has now (RFC 9110 15.5.20). */
export class OtherServer extends Schema.TaggedError<OtherServer>()("OtherServer", {}, status("OtherServer")) {
  override get message() {
    return "This server has another data directory than the one it was asked for. Look for that one's server again."
  }
}

/** A defect of ours. The server's log tells more under the same request id. */
export class InternalError extends Schema.TaggedError<InternalError>()(
  "InternalError",
  { requestId: Schema.String },
  status("InternalError")
) {
  override get message() {
    return `The server made a mistake. Its log says more under the request id ${this.requestId}.`
  }
}

/** A limit that protects the server was reached; the same request may work a moment later. */
export class Overloaded extends Schema.TaggedError<Overloaded>()(
  "Overloaded",
  {
    message: Schema.String,
    /** Where it is a number that somebody set. */
    limit: Schema.optionalKey(Schema.Int)
  },
  status("Overloaded")
) {}
