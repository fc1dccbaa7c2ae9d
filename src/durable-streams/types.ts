/**
 * The vocabulary every floor shares: names, offsets, events, blocks of event bytes, and every domain error with
 * its HTTP status. Browser-safe: imports nothing but `effect`.
 */
import { Schema } from "effect"

/** The longest stream name, in bytes of UTF-8 (docs/protocol.md 2). */
export const nameBytesMax = 512

/** What is wrong with a stream name, as the end of a sentence; undefined when it is a good one. */
export const nameFault = (name: string): string | undefined => {
  if (name.length === 0) return "it is empty"
  if (!name.isWellFormed()) return "it is not valid Unicode"
  // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) return "it holds a control character"
  // A UTF-16 code unit becomes three bytes at most: only long names have to be encoded to know.
  if (name.length * 3 > nameBytesMax && new TextEncoder().encode(name).length > nameBytesMax) {
    return `it is longer than ${nameBytesMax} bytes`
  }
  return undefined
}

/**
 * The name of a stream: 1 to 512 bytes of UTF-8 without control characters. `/` makes a hierarchy. Names are compared
 * byte for byte: case matters, and nothing is normalised.
 */
export const StreamName = Schema.String.check(Schema.makeFilter((name) => nameFault(name) ?? true)).pipe(
  Schema.brand("StreamName")
)
export type StreamName = typeof StreamName.Type

/** An offset as it is written everywhere: the event's number, 16 decimal digits, so that text order is event order. */
export const Offset = Schema.String.check(Schema.isPattern(/^\d{16}$/)).pipe(Schema.brand("Offset"))
export type Offset = typeof Offset.Type

/** Digits of a written offset. */
export const offsetDigits = 16

export const toOffset = (number: number): Offset => number.toString().padStart(offsetDigits, "0") as Offset

/** An event as users see it. */
export const StreamEvent = Schema.Struct({
  offset: Offset,
  eventStreamId: Schema.String,
  data: Schema.Json,
  createdAt: Schema.String
})
export type StreamEvent = typeof StreamEvent.Type

/**
 * One event's payload: JSON text, kept as it was sent, without line breaks. The parsed value is made only when somebody
 * asks (hooks do, the read path never).
 */
export class EventData {
  readonly text: string
  #value: unknown
  #parsed: boolean

  private constructor(text: string, parsed: boolean, value: unknown) {
    this.text = text
    this.#parsed = parsed
    this.#value = value
  }

  /** From a value; fails with a `TypeError` for what JSON cannot say (undefined, functions, BigInt, cycles). */
  static fromValue(value: unknown): EventData {
    const text = JSON.stringify(value)
    if (text === undefined) throw new TypeError("An event's data must be a JSON value.")
    return new EventData(text, true, value)
  }

  /** From JSON text; throws a `SyntaxError` when it is not. A line break between tokens becomes a space. */
  static fromText(text: string): EventData {
    return EventData.fromChecked(text, JSON.parse(text))
  }

  /** From a slice of JSON text that is already known to be valid, with the value it stands for. */
  static fromChecked(text: string, value: unknown): EventData {
    // In valid JSON a raw line break can only stand between tokens.
    const line = text.includes("\n") || text.includes("\r") ? text.replace(/[\r\n]/g, " ") : text
    return new EventData(line, true, value)
  }

  get value(): unknown {
    if (!this.#parsed) {
      this.#value = JSON.parse(this.text)
      this.#parsed = true
    }
    return this.#value
  }
}

/**
 * A run of consecutive events as bytes: event `first + i` is `bytes[starts[i], ends[i])`, exactly the JSON text that the
 * API shows. Blocks are shared by every reader and never changed.
 */
export interface EventBlock {
  readonly first: number
  readonly count: number
  readonly bytes: Uint8Array
  readonly starts: ArrayLike<number>
  readonly ends: ArrayLike<number>
  /**
   * There only where the block was made for this one reader: gives its memory back to be used again. Whoever has copied
   * the bytes may call it, as the last thing done with the block; whoever does not loses nothing.
   */
  readonly release?: (() => void) | undefined
}

/**
 * The parts of an event's text, found by position: the offset has a fixed place at the front, `createdAt` one at the
 * back, and `data` is what stands between them and the name. Nothing is parsed but the name.
 */
export const sliceEvent = (text: string): { offset: Offset; data: string; createdAt: string } => {
  const nameStart = offsetStart + offsetDigits + `","eventStreamId":"`.length
  let nameEnd = nameStart
  while (text.charCodeAt(nameEnd) !== 0x22) nameEnd += text.charCodeAt(nameEnd) === 0x5c ? 2 : 1
  return {
    offset: text.slice(offsetStart, offsetStart + offsetDigits) as Offset,
    data: text.slice(nameEnd + `","data":`.length, text.length - createdAtTail.length),
    createdAt: text.slice(text.length - createdAtTail.length + `,"createdAt":"`.length, -2)
  }
}

/** Where the offset's digits begin in an event's text. */
export const offsetStart = `{"offset":"`.length

/** The end of every event's text, for its length: `createdAt` always has 24 characters. */
export const createdAtTail = `,"createdAt":"2024-01-08T00:00:00.000Z"}`

const quoted = (text: string) => JSON.stringify(text)

/**
 * Status and title of every refusal, as RFC 9457 shows them. 422, 412 and 507 are DESIGN's words; 410 is what a follower
 * of a deleted stream is told.
 */
export const refusals = {
  InvalidRequest: { status: 400, title: "The request is not valid" },
  AccessRefused: { status: 403, title: "Not allowed" },
  StreamNotFound: { status: 404, title: "No such stream" },
  RouteNotFound: { status: 404, title: "No such page" },
  MethodNotAllowed: { status: 405, title: "Method not allowed" },
  StreamClosed: { status: 409, title: "The stream is closed" },
  StreamDeleted: { status: 410, title: "The stream was deleted" },
  TailMismatch: { status: 412, title: "The stream has moved on" },
  PayloadTooLarge: { status: 413, title: "Too large" },
  UnsupportedMediaType: { status: 415, title: "Unsupported media type" },
  HookError: { status: 422, title: "Refused by a hook" },
  StorageFailed: { status: 500, title: "The storage failed" },
  InternalError: { status: 500, title: "The server failed" },
  LogDamaged: { status: 500, title: "The log is damaged" },
  Overloaded: { status: 503, title: "Too busy" },
  StorageFull: { status: 507, title: "The disk is full" }
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

export class PayloadTooLarge extends Schema.TaggedError<PayloadTooLarge>()(
  "PayloadTooLarge",
  { bytesMax: Schema.Int },
  status("PayloadTooLarge")
) {
  override get message() {
    return `The body is larger than ${this.bytesMax} bytes. Send less, or start the server with a larger --max-body.`
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
  { message: Schema.String },
  status("Overloaded")
) {}
