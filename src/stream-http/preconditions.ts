/**
 * `If-Match` and `If-None-Match` on requests that change a stream (RFC 9110 13.1; docs/http.md): if one of them does not
 * hold, the server changes nothing. The stream's writer judges them when it is the request's turn, so changes during the
 * body's arrival count. A header names validators that this server gave out: an offset stands for the stream whose tail it
 * is, an entity tag for the stream as the tagged answer left it.
 */
import { Effect, Exit } from "effect"
import type { InvalidRequest } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import type { Condition, Found } from "../stream/durable-stream.ts"
import { judgeCondition } from "../stream/judge-append.ts"
import type { Headers } from "./request-parameters.ts"
import { invalid, show } from "./request-parameters.ts"

/** The validators that a header names: any, or these. */
type Validators = "*" | ReadonlyArray<Validator>

interface Validator {
  readonly isWeak: boolean
  readonly text: string
}

/** Returns the condition that the writer judges when it is the request's turn; undefined when there is none. */
export const conditionOf = (request: Headers): Exit.Exit<Condition | undefined, InvalidRequest> => {
  const [match, noneMatch] = [request.header("if-match"), request.header("if-none-match")]
  if (match === undefined && noneMatch === undefined) return Exit.succeed(undefined)
  const [ifMatch, ifNoneMatch] = [parseValidators(match), parseValidators(noneMatch)]
  if (match !== undefined && ifMatch === undefined) return invalid(faultOf("If-Match", match))
  if (noneMatch !== undefined && ifNoneMatch === undefined) return invalid(faultOf("If-None-Match", noneMatch))
  return Exit.succeed((found) =>
    (ifMatch === undefined || matches(ifMatch, found, true)) &&
    (ifNoneMatch === undefined || !matches(ifNoneMatch, found, false))
  )
}

const faultOf = (header: string, text: string) =>
  `${header} ${show(text)} is no offset: send the tail, 1 to 16 digits, or entity tags ("…"), or *.`

/** Parses the list of a header, and skips empty elements (RFC 9110 5.6.1); undefined when it is no such list. */
const parseValidators = (text: string | undefined): Validators | undefined => {
  if (text === undefined) return undefined
  if (text.trim() === "*") return "*"
  const validators: Array<Validator> = []
  let rest = text.trim()
  while (rest !== "") {
    const [all, weak, tag, bare] = element.exec(rest) ?? []
    if (all === undefined) return undefined
    const validator = tag ?? bare
    if (validator !== undefined) validators.push({ isWeak: weak !== undefined, text: validator })
    rest = rest.slice(all.length)
  }
  return validators.length === 0 ? undefined : validators
}

const element = /^(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"|(\d{1,16}))?[ \t]*(?:,[ \t]*|$)/

/** Weak tags are never the same in the strong comparison that `If-Match` asks for (RFC 9110 8.8.3.2). */
const matches = (validators: Validators, found: Found | undefined, isStrong: boolean): boolean =>
  validators === "*"
    ? found !== undefined
    : validators.some(({ isWeak, text }) => !(isStrong && isWeak) && isOf(text, found))

/** A stream that does not exist has no events: its tail is 0, and the first append may ask for that. */
const isOf = (text: string, found: Found | undefined): boolean => {
  if (/^\d{1,16}$/.test(text)) return Number(text) === (found?.tail ?? 0)
  const [, id, end, closed] = /^([^:]+):\d+:(\d+)(:c)?$/.exec(text) ?? []
  return found !== undefined && id === found.description?.id && Number(end) === found.tail &&
    (closed !== undefined) === found.closed
}

/** Deletes the stream if the request's preconditions hold when it is its turn. */
export const deleteOnConditions = Effect.fnUntraced(function*(
  manager: StreamManager["Service"],
  name: StreamName,
  request: Headers
) {
  const condition = yield* conditionOf(request)
  if (condition === undefined) return yield* manager.delete(name)
  yield* manager.use(name, (stream) =>
    stream.deleteIf((info) => {
      const unmet = judgeCondition(name, condition, info)
      return unmet === undefined ? Effect.void : Effect.fail(unmet)
    }))
})
