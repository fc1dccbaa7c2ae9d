/**
 * How events are printed. Characters that a terminal obeys never reach one, in any format.
 */
import { Effect, Predicate } from "effect"
import { isJson, sliceEvent } from "../../../domain/types.ts"
import { toVisible, toVisibleLines } from "../../../domain/visible-text.ts"
import { valueToBytes } from "../../../event/event-data.ts"
import { inColour, isOnTerminal } from "../terminal.ts"

export const formats = ["json", "pretty", "raw"] as const
export type Format = typeof formats[number]

/**
 * Makes the function that turns events into the text or bytes for stdout. It asks for the stream's content type when that
 * matters: raw, an event of a stream of bytes is these bytes and nothing else; on a terminal, these as text.
 */
export const makeShow = <E, R>(
  format: Format,
  contentType: Effect.Effect<string, E, R>
): Effect.Effect<(texts: ReadonlyArray<string>) => Effect.Effect<string | Uint8Array, E, R>> => {
  const harmless = isOnTerminal() ? toVisibleLines : (text: string) => text
  const show = makeFormat(format)
  const showAll = (texts: ReadonlyArray<string>) => texts.map(show).join("")
  if (format === "pretty") return Effect.succeed((texts) => Effect.succeed(showAll(texts)))
  if (format === "json") return Effect.succeed((texts) => Effect.succeed(harmless(showAll(texts))))
  const decoder = new TextDecoder()
  const showBytes = (texts: ReadonlyArray<string>) => {
    const bytes = Buffer.concat(texts.map(bytesOf))
    return isOnTerminal() ? harmless(decoder.decode(bytes, { stream: true }).replaceAll("\r\n", "\n")) : bytes
  }
  return Effect.map(
    Effect.cached(contentType),
    (contentType) => (texts: ReadonlyArray<string>) =>
      Effect.map(contentType, (type) => isJson(type) ? harmless(showAll(texts)) : showBytes(texts))
  )
}

const bytesOf = (text: string): Uint8Array => {
  const { data } = sliceEvent(text)
  return valueToBytes(parseJson(data)) ?? Buffer.from(data)
}

/** One event as one line. `json`: as the server sent it. `raw`: the payload alone. `pretty`: for eyes. */
const makeFormat = (format: Format): (text: string) => string => {
  if (format === "json") return (text) => `${onOneLine(text)}\n`
  if (format === "raw") return (text) => `${onOneLine(sliceEvent(text).data)}\n`
  const colour = inColour()
  const paint = (code: number, part: string) => colour ? `\u001b[${code}m${part}\u001b[0m` : part
  let day = ""
  return (text) => {
    const { createdAt, data, offset } = sliceEvent(text)
    const [date, time] = [toVisible(createdAt.slice(0, 10)), toVisible(createdAt.slice(11, 19))]
    const heading = date === day ? "" : `${paint(2, `${" ".repeat(6)}  ${date} UTC`)}\n`
    day = date
    const number = String(Number(offset)).padStart(6)
    return `${heading}${paint(2, number)}  ${paint(36, time)}  ${toVisible(messageOf(data) ?? data)}\n`
  }
}

/** In JSON, a line break can only stand between tokens. Our server sends none; another one may. */
const onOneLine = (text: string): string => /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, " ") : text

/** The text of a message made with `-m`; undefined for other data. */
const messageOf = (data: string): string | undefined => {
  const value = parseJson(data)
  return Predicate.hasProperty(value, "type") && value.type === "message" && Predicate.hasProperty(value, "text") &&
      typeof value.text === "string" && Object.keys(value).length === 2
    ? value.text
    : undefined
}

/** The value of JSON text; undefined for other text, which another server may send, and which is shown as it is. */
const parseJson = (data: string): unknown => {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}
