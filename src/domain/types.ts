/**
 * The words that every folder shares: names, offsets, events, blocks of event bytes, content types. Browser-safe: imports
 * nothing but `effect`.
 */
import { Schema } from "effect"

/** The longest stream name, in bytes of UTF-8 (docs/protocol.md 2). */
export const nameBytesMax = 512

/** The fault of a stream name, as the end of a sentence; undefined if the name is good. */
export const nameFault = (name: string): string | undefined => {
  if (name.length === 0) return "it is empty"
  if (!name.isWellFormed()) return "it is not valid Unicode"
  // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) return "it holds a control character"
  // A UTF-16 code unit has at most three bytes in UTF-8: only a long name must be encoded to learn its length.
  if (name.length * 3 > nameBytesMax && new TextEncoder().encode(name).length > nameBytesMax) {
    return `it is longer than ${nameBytesMax} bytes`
  }
  return undefined
}

/**
 * The name of a stream: 1 to 512 bytes of UTF-8 without control characters. `/` makes a hierarchy. Names are compared
 * byte for byte: case matters, and there is no normalisation.
 */
export const StreamName = Schema.String.check(Schema.makeFilter((name) => nameFault(name) ?? true)).pipe(
  Schema.brand("StreamName")
)
export type StreamName = typeof StreamName.Type

/** The stream that keeps the names of all streams, as soon as a client makes it (docs/protocol.md 16). */
export const registryName = "__registry__" as StreamName

/** Names for the server's own use begin with this. */
export const reservedPrefix = "__ds/"

/** Whether a name is for the server's own use: clients can neither use nor see it (PROTOCOL.md 6). */
export const isReserved = (name: string): boolean => name === "__ds" || name.startsWith(reservedPrefix)

/** An offset in its one written form: the event's number, 16 decimal digits, so that text order is event order. */
export const Offset = Schema.String.check(Schema.isPattern(/^\d{16}$/)).pipe(Schema.brand("Offset"))
export type Offset = typeof Offset.Type

/** Digits of a written offset. */
export const offsetDigits = 16

export const toOffset = (number: number): Offset => {
  const thousand = Math.floor(number / 1000)
  if (thousand !== lastThousand.number) {
    lastThousand = { number: thousand, digits: thousand.toString().padStart(offsetDigits - 3, "0") }
  }
  return lastThousand.digits + threeDigits[number - thousand * 1000]! as Offset
}

/** The front digits of the newest thousand: offsets are mostly written one after the other. */
let lastThousand = { number: -1, digits: "" }
const threeDigits = Array.from({ length: 1000 }, (_, i) => i.toString().padStart(3, "0"))

/** An event as users see it. */
export const StreamEvent = Schema.Struct({
  offset: Offset,
  eventStreamId: Schema.String,
  data: Schema.Json,
  createdAt: Schema.String
})
export type StreamEvent = typeof StreamEvent.Type

/**
 * A run of consecutive events as bytes: event `first + i` is `bytes[starts[i], ends[i])`, exactly the JSON text that the
 * API shows. All readers share a block, and none changes it.
 */
export interface EventBlock {
  readonly first: number
  readonly count: number
  readonly bytes: Uint8Array
  readonly starts: ArrayLike<number>
  readonly ends: ArrayLike<number>
  /**
   * Gives the block's memory back to be used again; undefined when other readers may hold the block. Only `consumeBlock`
   * (event/event-block.ts) calls it. A block that is not consumed is left to the garbage collector.
   */
  readonly release?: (() => void) | undefined
}

/**
 * The parts of an event's text, found by position: the offset has a fixed place at the front, `createdAt` one at the
 * back, and `data` is the text between them and the name. Only the name is parsed.
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

/** The position of the offset's digits in an event's text. */
export const offsetStart = `{"offset":"`.length

/** An example of the end of an event's text, for its length: `createdAt` always has 24 characters. */
export const createdAtTail = `,"createdAt":"2024-01-08T00:00:00.000Z"}`

/** The content types of a stream whose writer names none: JSON in the native API, bytes in the protocol. */
export const jsonType = "application/json"
export const bytesType = "application/octet-stream"

/** A content type without its parameters and in lower case, to compare it with another one (RFC 9110 8.3.1). */
export const mediaType = (contentType: string): string => {
  const end = contentType.indexOf(";")
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase()
}

/** Whether the events of a stream are JSON values; otherwise they are bytes (docs/protocol.md 9). */
export const isJson = (contentType: string): boolean => contentType === jsonType || mediaType(contentType) === jsonType
