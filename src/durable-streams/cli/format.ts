/**
 * How events look at the terminal.
 */
import { Effect, Predicate } from "effect"
import { valueToBytes } from "../event-data.ts"
import { isJson, sliceEvent } from "../types.ts"

export const formats = ["json", "pretty", "raw"] as const
export type Format = typeof formats[number]

/**
 * Makes what is printed for events. What the stream holds is asked for where it matters: raw, an event of a stream of
 * bytes is these bytes and nothing else.
 */
export const makeShow = <E, R>(
  format: Format,
  colour: boolean,
  contentType: Effect.Effect<string, E, R>
): Effect.Effect<(texts: ReadonlyArray<string>) => Effect.Effect<string | Uint8Array, E, R>> => {
  const show = (texts: ReadonlyArray<string>) => texts.map((text) => formatEvent(text, format, colour)).join("")
  if (format !== "raw") return Effect.succeed((texts) => Effect.succeed(show(texts)))
  return Effect.map(
    Effect.cached(contentType),
    (contentType) => (texts: ReadonlyArray<string>) =>
      Effect.map(contentType, (type) => isJson(type) ? show(texts) : Buffer.concat(texts.map(bytesOf)))
  )
}

const bytesOf = (text: string): Uint8Array => {
  const { data } = sliceEvent(text)
  return valueToBytes(JSON.parse(data)) ?? Buffer.from(data)
}

/** One event as one line. `json`: as the server sent it. `raw`: the payload alone. `pretty`: for eyes. */
const formatEvent = (text: string, format: Format, colour: boolean): string => {
  if (format === "json") return `${text}\n`
  const { createdAt, data, offset } = sliceEvent(text)
  if (format === "raw") return `${data}\n`
  const paint = (code: number, part: string) => colour ? `\u001b[${code}m${part}\u001b[0m` : part
  const number = String(Number(offset)).padStart(6)
  return `${paint(2, number)}  ${paint(36, createdAt.slice(11, 19))}  ${visible(messageOf(data) ?? data)}\n`
}

/** The text of a message made with `-m`; undefined for other data. */
const messageOf = (data: string): string | undefined => {
  const value = JSON.parse(data) as unknown
  return Predicate.hasProperty(value, "type") && value.type === "message" && Predicate.hasProperty(value, "text") &&
      typeof value.text === "string" && Object.keys(value).length === 2
    ? value.text
    : undefined
}

/** Control characters could move the cursor or colour the terminal: they are shown, not obeyed. */
const visible = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => JSON.stringify(character).slice(1, -1))
