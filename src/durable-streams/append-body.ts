/**
 * Bodies of appends to event data. The JSON text of `data` is checked by parsing the body once, and then kept as it was
 * sent (promise 8): it is cut out of the text, not written anew.
 */
import { Effect } from "effect"
import { InvalidRequest } from "./errors.ts"
import { EventData, valueToBytes } from "./event-data.ts"

/** `{"data": …}`. */
export const fromJsonBody = (body: Uint8Array): Effect.Effect<ReadonlyArray<EventData>, InvalidRequest> =>
  parsing(() => {
    const text = decode(body)
    const value = JSON.parse(text) as unknown
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, "data")) {
      throw new InvalidRequest({ message: `The body must be an object with the event's data: {"data": …}.` })
    }
    const slice = memberSlice(text, "data")
    return [EventData.fromChecked(slice, (value as { readonly data: unknown }).data)]
  })

/** One event's data a line; empty lines count for nothing. */
export const fromNdjsonBody = (body: Uint8Array): Effect.Effect<ReadonlyArray<EventData>, InvalidRequest> =>
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

const parsing = (parse: () => ReadonlyArray<EventData>): Effect.Effect<ReadonlyArray<EventData>, InvalidRequest> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(parse())
    } catch (error) {
      if (error instanceof InvalidRequest) return Effect.fail(error)
      const message = error instanceof SyntaxError
        ? `The body is not JSON: ${error.message}`
        : "The body is not valid UTF-8."
      return Effect.fail(new InvalidRequest({ message }))
    }
  })

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const decode = (body: Uint8Array): string => utf8.decode(body)

/**
 * The text of the value of the last member called `key` in the text of a JSON object, which must be valid: so quotes and
 * brackets are all there is to look at.
 */
export const memberSlice = (text: string, key: string): string => {
  let at = text.indexOf("{") + 1
  let found = ""
  while (true) {
    at = skipSpace(text, at)
    if (text[at] === ",") {
      at++
      continue
    }
    if (text[at] !== "\"") return found
    const keyEnd = stringEnd(text, at)
    const name = text.slice(at + 1, keyEnd - 1)
    const valueStart = skipSpace(text, text.indexOf(":", keyEnd) + 1)
    const valueEnd = endOfValue(text, valueStart)
    if (name === key || (name.includes("\\") && JSON.parse(`"${name}"`) === key)) {
      found = text.slice(valueStart, valueEnd)
    }
    at = valueEnd
  }
}

/** Without what JSON takes for space (RFC 8259 2); `trim` would drop a byte order mark and no-break spaces, too. */
const trimSpace = (line: string): string => {
  let start = 0
  let end = line.length
  while (start < end && isSpace(line.charCodeAt(start))) start++
  while (end > start && isSpace(line.charCodeAt(end - 1))) end--
  return line.slice(start, end)
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0d

const skipSpace = (text: string, from: number): number => {
  let at = from
  while (text.charCodeAt(at) <= 0x20) at++
  return at
}

/** Behind the closing quote of the string that begins at `from`. */
const stringEnd = (text: string, from: number): number => {
  let at = text.indexOf("\"", from + 1)
  while (isEscaped(text, at)) at = text.indexOf("\"", at + 1)
  return at + 1
}

const isEscaped = (text: string, at: number): boolean => {
  let back = at - 1
  while (text.charCodeAt(back) === 0x5c) back--
  return (at - back) % 2 === 0
}

const endOfValue = (text: string, from: number): number => {
  const first = text[from]
  if (first === "\"") return stringEnd(text, from)
  let at = from
  if (first === "{" || first === "[") {
    let depth = 0
    do {
      const code = text.charCodeAt(at)
      if (code === 0x22) {
        at = stringEnd(text, at)
        continue
      }
      if (code === 0x7b || code === 0x5b) depth++
      else if (code === 0x7d || code === 0x5d) depth--
      at++
    } while (depth > 0)
    return at
  }
  while (at < text.length && !/[\s,}]/.test(text[at]!)) at++
  return at
}
