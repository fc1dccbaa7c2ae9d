/**
 * The text that a person types as the JSON of an event's data, or as the content of a stream of another type.
 */
import { Effect } from "effect"
import { isJson } from "../../../domain/types.ts"
import { jsonFault } from "../../../event/json-fault.ts"
import { WrongUsage } from "../exit.ts"

/** The texts of `-m` and `-e`. */
export interface Typed {
  readonly message: string | undefined
  readonly event: string | undefined
}

/** The data that `-m` or `-e` give; undefined when there is neither. */
export const typedData = ({ event, message }: Typed): Effect.Effect<string | undefined, WrongUsage> => {
  if (message !== undefined && event !== undefined) return Effect.fail(new WrongUsage("Give -m or -e, not both."))
  if (message !== undefined) return Effect.succeed(toMessage(message))
  return event === undefined ? Effect.undefined : jsonText(event, "The text of -e")
}

/**
 * The body of a request of the protocol from `-m` or `-e`: one event of a JSON stream, which takes an array apart, or the
 * text itself.
 */
export const typedBody = (typed: Typed, contentType: string): Effect.Effect<string | undefined, WrongUsage> =>
  Effect.flatMap(typedData(typed), (data) => {
    if (data === undefined) return Effect.undefined
    if (isJson(contentType)) return Effect.succeed(`[${data}]`)
    return typed.message === undefined
      ? Effect.fail(new WrongUsage(`The stream holds ${contentType} and no JSON: give its text with -m.`))
      : Effect.succeed(typed.message)
  })

/** The data of a line of stdin, or why it is not JSON. */
export const lineData = (
  line: string,
  input: "auto" | "text" | "json"
): { readonly data?: string; readonly fault?: string } => {
  // Text that only happens to be JSON (a number, `null`) stays text.
  if (input === "text" || (input === "auto" && !/^\s*[[{]/.test(line))) return { data: toMessage(line) }
  const fault = faultOf(line)
  if (fault === undefined) return { data: onOneLine(line) }
  return input === "auto" ? { data: toMessage(line) } : { fault }
}

const toMessage = (text: string): string => JSON.stringify({ type: "message", text })

const jsonText = (text: string, what: string): Effect.Effect<string, WrongUsage> => {
  const fault = faultOf(text)
  return fault === undefined
    ? Effect.succeed(onOneLine(text))
    : Effect.fail(new WrongUsage(`${what} is not JSON: ${fault}.`))
}

const onOneLine = (json: string): string => json.replace(/[\r\n]/g, " ")

/** Why a text is not JSON; undefined when it is. */
const faultOf = (text: string): string | undefined => {
  try {
    JSON.parse(text)
    return undefined
  } catch {
    return jsonFault(new TextEncoder().encode(text))
  }
}
