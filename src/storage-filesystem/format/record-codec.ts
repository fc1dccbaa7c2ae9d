/**
 * Encodes and decodes the commits of a log (docs/storage-format.md 3 and 4). Pure: it opens no file.
 */
import { Data } from "effect"
import { crc32 } from "node:zlib"
import type { EventBlock, StreamName } from "../../domain/types.ts"
import { offsetDigits, offsetStart, toOffset } from "../../domain/types.ts"
import type { Commit, ForkOrigin, StateChange, StreamDescription } from "../../storage/storage.ts"

export const lineFeed = 0x0a

/** A plain trailer with its line feed: `,"commit":{"crc":"xxxxxxxx"}}⏎`. */
export const plainTrailer = `,"commit":{"crc":"00000000"}}\n`.length
export const crcDigits = 8
/** From the first digit of the sum to the end of the line. */
export const crcToEnd = `00000000"}}\n`.length
const sizeDigits = 8
/** The largest number of so many digits. */
const sizeMax = 10 ** sizeDigits - 1
/** From the first digit of `size` to the end of the line. */
const sizeToEnd = `00000000","crc":"00000000"}}\n`.length

/**
 * An opening searches no further for the end of the first line. Before its texts had limits, a request with 16 KB of headers
 * filled about half of this: two characters in JSON for each of its bytes.
 */
export const headerBytesMax = 64 * 1024

/** The commit is too large: it could not be read back, so it is not written. */
export class DoesNotFit extends Data.TaggedError("DoesNotFit")<{
  readonly part: "header" | "state"
  readonly bytesMax: number
}> {
  override get message() {
    const what = this.part === "header" ? "What the stream is made with" : "What is known of its producers and forks"
    return `${what} is larger than the ${this.bytesMax} bytes that a log has for it.`
  }
}

/** The first line of a log, up to its trailer. */
const headerText = ({ contentType, createdAt, expiresAt, forkedFrom, id, name, ttlSeconds }: StreamDescription) =>
  JSON.stringify({
    format: 1,
    eventStreamId: name,
    contentType,
    createdAt,
    id,
    ttlSeconds,
    expiresAt,
    forkedFrom: forkedFrom && {
      eventStreamId: forkedFrom.stream,
      id: forkedFrom.id,
      offset: toOffset(forkedFrom.offset),
      bytes: forkedFrom.bytes
    }
  }).slice(0, -1)

export interface Encoded {
  readonly bytes: Uint8Array
  /** The running sum at the commit's trailer. */
  readonly crc: number
}

/** Returns memory of `length` bytes, with any content. */
export type Allocate = (length: number) => Buffer

/** The part of a commit that is about the state. */
export interface StateEntry {
  /** A JSON object: the entries that the commit changes, or all of them; undefined if it changes none. */
  readonly text: string | undefined
  /** Bytes from the start of the newest commit with all entries to the start of this one. */
  readonly back: number
}

/** The state's entries as the text of a JSON object; a removed entry is null. */
export const stateText = (entries: Iterable<StateChange>): string => {
  let text = ""
  for (const [key, value] of entries) text += `${text === "" ? "{" : ","}${JSON.stringify(key)}:${value ?? "null"}`
  return text === "" ? "{}" : `${text}}`
}

/**
 * Encodes a commit that follows the sum `crc`, whose digits stand `crcToEnd` bytes before it. `state` is undefined in a log
 * that never had a state. Throws `DoesNotFit` if the state is longer than `size` can say.
 */
export const encodeCommit = (
  events: EventBlock,
  state: StateEntry | undefined,
  crc: number,
  allocate: Allocate = Buffer.allocUnsafe
): Encoded => {
  // The events as they lie in the block, without the closing brace of the last event: the trailer has it.
  const from = events.count === 0 ? 0 : events.starts[0]!
  const to = events.count === 0 ? 0 : events.ends[events.count - 1]! - 1
  const lead = (events.count === 0 ? "{" : ",") + `"commit":{`
  let front = lead
  if (state !== undefined) {
    const text = `${state.text === undefined ? "" : `"state":${state.text},`}"back":"${toOffset(state.back)}",`
    const size = Buffer.byteLength(lead) + Buffer.byteLength(text) + `"size":"`.length + sizeToEnd
    if (size > sizeMax) throw new DoesNotFit({ part: "state", bytesMax: sizeMax })
    front += `${text}"size":"${size.toString().padStart(sizeDigits, "0")}",`
  }
  front += `"crc":"`
  const body = to - from
  const bytes = allocate(body + Buffer.byteLength(front) + crcToEnd)
  copyLines(events, bytes)
  return seal(bytes, body + bytes.write(front, body), crc)
}

/** Encodes the header and the first commit of a new log. Throws `DoesNotFit`. */
export const encodeNewLog = (
  description: StreamDescription,
  first: Commit
): Encoded & { readonly stateFrom: number | undefined } => {
  const text = `${headerText(description)},"commit":{"crc":"`
  const bytes = Buffer.allocUnsafe(Buffer.byteLength(text) + crcToEnd)
  if (bytes.length > headerBytesMax) throw new DoesNotFit({ part: "header", bytesMax: headerBytesMax })
  const header = seal(bytes, bytes.write(text), 0, true)
  const stateFrom = first.state.length === 0 ? undefined : header.bytes.length
  if (first.events.count === 0 && stateFrom === undefined) return { ...header, stateFrom }
  const state = stateFrom === undefined ? undefined : { text: stateText(first.state), back: 0 }
  const commit = encodeCommit(first.events, state, header.crc)
  return { bytes: Buffer.concat([header.bytes, commit.bytes]), crc: commit.crc, stateFrom }
}

/** Decodes a log's first line; undefined if it is no header that this version knows. */
export const decodeHeader = (line: string): StreamDescription | undefined => {
  try {
    const header = JSON.parse(line) as Partial<Header>
    const { contentType, createdAt, eventStreamId, expiresAt, forkedFrom, format, ttlSeconds } = header
    if (format !== 1 || eventStreamId === undefined || contentType === undefined || createdAt === undefined) {
      return undefined
    }
    return {
      name: eventStreamId as StreamName,
      contentType,
      createdAt,
      // The first logs had no id.
      id: header.id ?? createdAt,
      ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(forkedFrom === undefined ? {} : { forkedFrom: toOrigin(forkedFrom) })
    }
  } catch {
    return undefined
  }
}

const toOrigin = ({ bytes, eventStreamId, id, offset }: Header["forkedFrom"]): ForkOrigin => ({
  stream: eventStreamId as StreamName,
  id,
  offset: Number(offset),
  bytes
})

/** The fields of a header: its sum proves that they are as they were written. */
interface Header {
  readonly format: number
  readonly eventStreamId: string
  readonly contentType: string
  readonly createdAt: string
  readonly id: string
  readonly ttlSeconds: number
  readonly expiresAt: string
  readonly forkedFrom: {
    readonly eventStreamId: string
    readonly id: string
    readonly offset: string
    readonly bytes: number
  }
}

/** Whether the sum in the first line, which ends at `end`, fits the line. */
export const isSoundHeader = (bytes: Uint8Array, end: number): boolean =>
  end > crcToEnd && writtenCrc(bytes, end) === runningCrc(bytes, 0, end - crcToEnd, 0)

/** The length of the trailer of the line that ends (line feed included) at `end`; 0 if it has none. */
export const trailerLength = (bytes: Uint8Array, start: number, end: number): number => {
  if (end - start < crcToEnd + 2 || bytes[end - 3] !== brace || bytes[end - 2] !== brace || bytes[end - 4] !== quote) {
    return 0
  }
  if (bytes[end - plainTrailer] === comma && bytes[end - plainTrailer + 1] === quote) return plainTrailer
  const size = digits(bytes, end - sizeToEnd, sizeDigits)
  return size > plainTrailer && size <= end - start ? size : 0
}

/** The sum written in the trailer of the line that ends at `end`; -1 if there are no hexadecimal digits. */
export const writtenCrc = (bytes: Uint8Array, end: number): number => {
  let crc = 0
  for (let at = end - crcToEnd; at < end - crcToEnd + crcDigits; at++) {
    const value = hexValue(bytes[at]!)
    if (value < 0) return -1
    crc = crc * 16 + value
  }
  return crc
}

/** Continues the sum `crc` over `bytes[from, to)`. */
export const runningCrc = (bytes: Uint8Array, from: number, to: number, crc: number): number =>
  crc32(bytes.subarray(from, to), crc)

/** The sum behind a whole trailer whose digits are `crc`: the digits and the end of the line included. */
export const afterTrailer = (crc: number): number => crc32(Buffer.from(`${hex(crc)}"}}\n`), crc)

/** Whether the commits in `bytes[0, end)`, of which the last one ends at `end`, continue the sum `before`. */
export const fits = (bytes: Uint8Array, end: number, before: number): boolean =>
  end > crcToEnd && runningCrc(bytes, 0, end - crcToEnd, afterTrailer(before)) === writtenCrc(bytes, end)

/** The part about the state in the trailer of the line that ends at `end`; undefined if there is none. */
export const trailerState = (bytes: Uint8Array, start: number, end: number): StateEntry | undefined => {
  const length = trailerLength(bytes, start, end)
  if (length <= plainTrailer) return undefined
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + end - length, length).toString()
  const digitsStart = text.length - sizeToEnd - `","size":"`.length - offsetDigits
  const back = Number(text.slice(digitsStart, digitsStart + offsetDigits))
  if (!text.startsWith(`"back":"`, digitsStart - `"back":"`.length) || Number.isNaN(back)) return undefined
  const stateEnd = digitsStart - `,"back":"`.length
  const changes = text.startsWith(`{"state":`, stateLead)
  return { text: changes ? text.slice(stateLead + `{"state":`.length, stateEnd) : undefined, back }
}

/**
 * How far back the trailer of the line that ends at `end` says the state begins; -1 if that is no number. Only for a trailer
 * that is longer than the plain one, which says nothing about the state.
 */
export const trailerBack = (bytes: Uint8Array, end: number): number =>
  digits(bytes, end - sizeToEnd - `","size":"`.length - offsetDigits, offsetDigits)

/** Whether the line at `start` is an event; otherwise it is the header or a state line. */
export const isEventLine = (bytes: Uint8Array, start: number): boolean =>
  bytes[start + 2] === 0x6f && bytes[start + offsetStart - 1] === quote // {"o…

/** The offset of the event line at `start`; -1 if there are no digits. */
export const lineOffset = (bytes: Uint8Array, start: number): number => digits(bytes, start + offsetStart, offsetDigits)

/**
 * The events from offset `wanted` on in `bytes[from, to)`, which must be whole lines of whole commits; their first event has
 * the offset `first`. Overwrites each trailer's comma with the brace that ends the event, so that the block's events are
 * contiguous bytes of the buffer that was read.
 */
export const toBlock = (
  bytes: Uint8Array,
  from: number,
  to: number,
  first: number,
  wanted = first
): EventBlock => {
  let offset = first
  let length = 0
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const starts: Array<number> = []
  const ends: Array<number> = []
  for (let at = from; at < to;) {
    // Most lines are as long as the line before: a look at that place costs half of a search for the line feed.
    const isEvent = isEventLine(bytes, at)
    let end = at + length
    if (!isEvent || length > guessedBytesMax || !isWholeEvent(bytes, end, to, offset + 1)) {
      end = buffer.indexOf(lineFeed, at) + 1
      length = end - at
    }
    if (isEvent && offset++ >= wanted) {
      // Either most lines end a commit, or most do not: one byte tells, before any call.
      const trailer = bytes[end - 3] === brace ? trailerLength(bytes, at, end) : 0
      starts.push(at)
      if (trailer === 0) {
        ends.push(end - 1)
      } else {
        bytes[end - trailer] = brace
        ends.push(end - trailer + 1)
      }
    }
    at = end
  }
  return { first: wanted, count: starts.length, bytes, starts, ends }
}

/** No event line is shorter, so a thousand lines never fit into a guess of one line. */
const lineBytesMin =
  `{"offset":"0000000000000000","eventStreamId":"a","data":0,"createdAt":"2024-01-08T00:00:00.000Z"}\n`.length
const guessedBytesMax = 1000 * lineBytesMin

/**
 * Whether the event line before event `next`, of which only the start is known, ends at `end`. The lines are known to be
 * sound. An event begins at `end` with the last three digits of `next`, and an event ends there: its `Z` stands elsewhere in
 * a state line. Offsets are dense, so that is the event before; an event with the same three digits is a thousand lines away.
 */
const isWholeEvent = (bytes: Uint8Array, end: number, to: number, next: number): boolean => {
  if (end + lineBytesMin > to || bytes[end - 1] !== lineFeed || !isEventLine(bytes, end)) return false
  if (bytes[end - (bytes[end - 3] === brace ? plainTrailer + 2 : 4)] !== zulu) return false
  const last = end + offsetStart + offsetDigits - 3
  return (bytes[last]! - 0x30) * 100 + (bytes[last + 1]! - 0x30) * 10 + bytes[last + 2]! - 0x30 === next % 1000
}

/** The text before the fields of a trailer: a comma or a brace, and its name. */
const stateLead = `,"commit":`.length

const quote = 0x22
const comma = 0x2c
const brace = 0x7d
/** The last character of every event's time. */
const zulu = 0x5a

/** Copies the block's events with a line feed between them, without the closing brace of the last one. */
const copyLines = (events: EventBlock, target: Buffer): void => {
  if (events.count === 0) return
  const from = events.starts[0]!
  target.set(events.bytes.subarray(from, events.ends[events.count - 1]! - 1))
  // One byte lies between two events; here it becomes a line feed.
  for (let i = 1; i < events.count; i++) target[events.starts[i]! - from - 1] = lineFeed
}

/** Writes the digits of the sum over everything before `at`, and the end of the line. */
const seal = (bytes: Buffer, at: number, crc: number, first = false): Encoded => {
  const sum = crc32(bytes.subarray(0, at), first ? 0 : afterTrailer(crc))
  bytes.write(`${hex(sum)}"}}\n`, at, "latin1")
  return { bytes, crc: sum }
}

/** A sum as its digits. */
export const hex = (crc: number): string => crc.toString(16).padStart(crcDigits, "0")

const hexValue = (byte: number): number =>
  byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1

const digits = (bytes: Uint8Array, at: number, count: number): number => {
  let value = 0
  for (let i = at; i < at + count; i++) {
    const digit = bytes[i]! - 0x30
    if (!(digit >= 0 && digit <= 9)) return -1
    value = value * 10 + digit
  }
  return value
}
