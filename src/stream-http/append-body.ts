/**
 * Turns bodies of appends into event data. The JSON text of `data` is checked, and then kept as the writer sent it
 * (promise 8): it is cut out of the body, neither parsed into a value nor written again.
 */
import { Exit } from "effect"
import { InvalidRequest } from "../domain/errors.ts"
import { fixedLimits } from "../domain/limits.ts"
import { asBuffer, EventData, valueToBytes } from "../event/event-data.ts"
import { jsonFault } from "../event/json-fault.ts"
import { elementRanges, isSpace, memberRange, skipSpace, valueEnd } from "../event/json-scan.ts"

const { appendEventsMax } = fixedLimits

/** `{"data": …}`. */
export const fromJsonBody = (body: Uint8Array): Exit.Exit<ReadonlyArray<EventData>, InvalidRequest> =>
  parsing(body, (source) => {
    const range = memberRange(source, "data")
    if (range === undefined) throw notJson(source)
    if (range === "none") {
      throw new InvalidRequest({ message: `The body must be an object with the event's data: {"data": …}.` })
    }
    return [cutter(source, lineFeed, carriageReturn)(range[0], range[1])]
  })

/** One event for each element of an array, one level deep; any other value is one event. */
export const fromMessages = (body: Uint8Array): Exit.Exit<ReadonlyArray<EventData>, InvalidRequest> =>
  parsing(body, (source) => {
    const ranges = elementRanges(source, appendEventsMax)
    if (ranges === undefined) throw notJson(source)
    const cut = cutter(source, lineFeed, carriageReturn)
    if (ranges === "none") return [cut(skipSpace(source, 0), spaceBefore(source, source.length))]
    if (ranges === "too many") throw tooMany()
    const events: Array<EventData> = []
    for (let i = 0; i < ranges.length; i += 2) events.push(cut(ranges[i]!, ranges[i + 1]!))
    return events
  })

/** One event's data a line; empty lines are skipped. */
export const fromNdjsonBody = (body: Uint8Array): Exit.Exit<ReadonlyArray<EventData>, InvalidRequest> =>
  parsing(body, (source) => {
    const cut = cutter(source, carriageReturn)
    const events: Array<EventData> = []
    for (let at = 0, start = 0, number = 1; at < source.length; at++) {
      // Each byte of space is read once: a body may have nothing else.
      if (source[at] === lineFeed) {
        start = at + 1
        number++
      }
      if (isSpace(source[at]!)) continue
      const feed = source.indexOf(lineFeed, at)
      const lineEnd = feed < 0 ? source.length : feed
      const end = valueEnd(source, at)
      // A value that goes over several lines is JSON, but not NDJSON.
      if (end < 0 || spaceBefore(source, lineEnd) !== end) {
        throw new InvalidRequest({
          message: `Line ${number} is not JSON: ${jsonFault(source.subarray(start, lineEnd))}.`
        })
      }
      if (events.length === appendEventsMax) throw tooMany()
      events.push(cut(at, end))
      at = lineEnd - 1
    }
    if (events.length === 0) throw new InvalidRequest({ message: "The body holds no event; send one a line." })
    return events
  })

/**
 * Returns data that stands for bytes (docs/storage-format.md 3) as bytes; undefined when any of it does not. Each event is
 * parsed, so a long list takes several turns of the event loop, and other requests run between them.
 */
export const toBytes = (
  data: ReadonlyArray<EventData>,
  done: (bytes: ReadonlyArray<EventData> | undefined) => void
): void => {
  const all: Array<EventData> = []
  const goOn = () => {
    const end = Math.min(all.length + eventsOfTurn, data.length)
    while (all.length < end) {
      const bytes = valueToBytes(data[all.length]!.value)
      if (bytes === undefined) return done(undefined)
      all.push(EventData.fromBytes(bytes))
    }
    if (end === data.length) done(all)
    else setImmediate(goOn)
  }
  goOn()
}

/** Parsing these takes some milliseconds. */
const eventsOfTurn = 4_096

const parsing = (
  body: Uint8Array,
  parse: (source: Buffer) => ReadonlyArray<EventData>
): Exit.Exit<ReadonlyArray<EventData>, InvalidRequest> => {
  try {
    const source = dropMark(asBuffer(body))
    if (!isUtf8(source)) return Exit.fail(new InvalidRequest({ message: "The body is not valid UTF-8." }))
    return Exit.succeed(parse(source))
  } catch (error) {
    if (error instanceof InvalidRequest) return Exit.fail(error)
    throw error
  }
}

/** Cuts values out of a body that may have these line breaks in it. A value without one shares the bytes of the body. */
const cutter = (source: Buffer, ...breaks: ReadonlyArray<number>) => {
  if (!breaks.some((byte) => source.includes(byte))) {
    return (start: number, end: number) => EventData.fromPiece(source, start, end)
  }
  return (start: number, end: number) => {
    for (let at = start; at < end; at++) {
      if (isBreak(source[at]!)) return replaceBreaks(source, start, end)
    }
    return EventData.fromPiece(source, start, end)
  }
}

/** Copies a value with a space for every line break: in valid JSON they only stand between tokens. */
const replaceBreaks = (source: Buffer, start: number, end: number): EventData => {
  const copy = Buffer.from(source.subarray(start, end))
  for (let at = 0; at < copy.length; at++) if (isBreak(copy[at]!)) copy[at] = 0x20
  return EventData.fromPiece(copy, 0, copy.length)
}

const isBreak = (byte: number): boolean => byte === lineFeed || byte === carriageReturn

const tooMany = () =>
  new InvalidRequest({ message: `The body holds more than ${appendEventsMax} events. Send them in several requests.` })

const lineFeed = 0x0a
const carriageReturn = 0x0d

const notJson = (bytes: Uint8Array): InvalidRequest =>
  new InvalidRequest({ message: `The body is not JSON: ${jsonFault(bytes)}.` })

/** Drops a byte order mark at the front: it is allowed there (RFC 8259 8.1), and no part of the data. */
const dropMark = (body: Buffer): Buffer =>
  body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body

/** Returns the start of the space that ends at `end`. */
const spaceBefore = (bytes: Uint8Array, end: number): number => {
  let at = end
  while (at > 0 && isSpace(bytes[at - 1]!)) at--
  return at
}

/**
 * The fast decoder writes U+FFFD for bytes that are not UTF-8. A writer may also send that character, so only then the slow
 * and strict decoder decides.
 */
const isUtf8 = (body: Buffer): boolean => {
  let isPlain = true
  // Piece by piece: one string of the whole body would take its memory a second time.
  for (let from = 0, to = 0; from < body.length && isPlain; from = to) {
    to = characterEnd(body, Math.min(from + checkedBytes, body.length))
    isPlain = !body.toString("utf8", from, to).includes("\ufffd")
  }
  if (isPlain) return true
  try {
    utf8.decode(body)
    return true
  } catch {
    return false
  }
}

/** A string of this size costs little memory, and a body makes few of them. */
const checkedBytes = 1024 * 1024

/** Returns the end of the character that is cut at `at`. A longer run of continuation bytes is no character. */
const characterEnd = (body: Buffer, at: number): number => {
  let end = at
  while (end < body.length && end < at + 3 && (body[end]! & 0xc0) === 0x80) end++
  return end
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
