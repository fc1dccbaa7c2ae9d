/**
 * Bodies of appends to event data. The JSON text of `data` is checked by parsing the body once, and then kept as it was
 * sent (promise 8): it is cut out of the text, not written anew.
 */
import { Exit } from "effect"
import { InvalidRequest } from "./errors.ts"
import { asBuffer, EventData, valueToBytes } from "./event-data.ts"
import { elementRanges, memberRange } from "./json-slices.ts"

/** `{"data": …}`. */
export const fromJsonBody = (body: Uint8Array): Exit.Exit<ReadonlyArray<EventData>, InvalidRequest> =>
  parsing(() => {
    const text = decode(body)
    const value = JSON.parse(text) as unknown
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, "data")) {
      throw new InvalidRequest({ message: `The body must be an object with the event's data: {"data": …}.` })
    }
    const [start, end] = memberRange(text, "data")
    return [piece(text, start, end, plain(text, body))]
  })

/** One event for each element of an array, one level deep; any other value is one event. */
export const fromMessages = (body: Uint8Array): Exit.Exit<ReadonlyArray<EventData>, InvalidRequest> =>
  parsing(() => {
    const text = decode(body)
    if (!Array.isArray(JSON.parse(text))) return [EventData.fromChecked(trimSpace(text))]
    const ranges = elementRanges(text)
    const source = plain(text, body)
    const events: Array<EventData> = []
    for (let i = 0; i < ranges.length; i += 2) events.push(piece(text, ranges[i]!, ranges[i + 1]!, source))
    return events
  })

/** One event's data a line; empty lines count for nothing. */
export const fromNdjsonBody = (body: Uint8Array): Exit.Exit<ReadonlyArray<EventData>, InvalidRequest> =>
  parsing(() => {
    const events: Array<EventData> = []
    let number = 0
    for (const line of decode(body).split("\n")) {
      number++
      const text = trimSpace(line)
      if (text === "") continue
      try {
        events.push(EventData.fromText(text))
      } catch (error) {
        throw new InvalidRequest({ message: `Line ${number} is not JSON: ${(error as Error).message}` })
      }
    }
    if (events.length === 0) throw new InvalidRequest({ message: "The body holds no event; send one a line." })
    return events
  })

/**
 * The body where it is ASCII without line breaks: what is a place in its text is the same place in the body, and its bytes
 * need not be made again.
 */
const plain = (text: string, body: Uint8Array): Buffer | undefined =>
  text.length === body.length && !body.includes(0x0a) && !body.includes(0x0d) ? asBuffer(body) : undefined

const piece = (text: string, start: number, end: number, source: Buffer | undefined): EventData =>
  source === undefined ? EventData.fromChecked(text.slice(start, end)) : EventData.fromPiece(source, start, end)

/** Data that stands for bytes (docs/storage-format.md 3), as bytes; undefined when any of it does not. */
export const toBytes = (data: ReadonlyArray<EventData>): ReadonlyArray<EventData> | undefined => {
  const all: Array<EventData> = []
  for (const { value } of data) {
    const bytes = valueToBytes(value)
    if (bytes === undefined) return undefined
    all.push(EventData.fromBytes(bytes))
  }
  return all
}

const parsing = (parse: () => ReadonlyArray<EventData>): Exit.Exit<ReadonlyArray<EventData>, InvalidRequest> => {
  try {
    return Exit.succeed(parse())
  } catch (error) {
    if (error instanceof InvalidRequest) return Exit.fail(error)
    const message = error instanceof SyntaxError
      ? `The body is not JSON: ${error.message}`
      : "The body is not valid UTF-8."
    return Exit.fail(new InvalidRequest({ message }))
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** What is no UTF-8 is told by the character that stands for it, and that one can be meant: only then it is asked again. */
const decode = (body: Uint8Array): string => {
  const text = asBuffer(body).toString()
  return text.includes("\ufffd") ? utf8.decode(body) : text
}

/** Without what JSON takes for space (RFC 8259 2); `trim` would drop a byte order mark and no-break spaces, too. */
const trimSpace = (line: string): string => {
  let start = 0
  let end = line.length
  while (start < end && isSpace(line.charCodeAt(start))) start++
  while (end > start && isSpace(line.charCodeAt(end - 1))) end--
  return line.slice(start, end)
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
