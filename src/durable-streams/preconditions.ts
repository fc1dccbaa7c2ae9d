/**
 * `If-Match` and `If-None-Match` on requests that change a stream (RFC 9110 13.1; docs/http.md): where one of them does not
 * hold, nothing is performed. What they name is what this server gives out: an offset stands for the stream whose tail it
 * is, an entity tag for the stream as the tagged answer left it.
 */
import { Effect, Exit } from "effect"
import type { Answer } from "../web/exchange.ts"
import { toEffect } from "../web/exchange.ts"
import type { Refusal } from "../web/problem.ts"
import type { Route, RouteRequest } from "../web/router.ts"
import type { StreamInfo } from "./durable-stream.ts"
import type { InvalidRequest } from "./errors.ts"
import { PreconditionFailed } from "./errors.ts"
import { invalid, show } from "./request-parameters.ts"
import type { StreamManager } from "./stream-manager.ts"
import type { StreamName } from "./types.ts"
import { toOffset } from "./types.ts"

interface Preconditions {
  readonly ifMatch: Named | undefined
  readonly ifNoneMatch: Named | undefined
}

/** What a header names: whatever there is, or these. */
type Named = "*" | ReadonlyArray<Validator>

interface Validator {
  readonly isWeak: boolean
  readonly text: string
}

/** What the request depends on; undefined where it depends on nothing. */
const preconditionsOf = (request: RouteRequest): Exit.Exit<Preconditions | undefined, InvalidRequest> => {
  const [match, noneMatch] = [request.header("if-match"), request.header("if-none-match")]
  if (match === undefined && noneMatch === undefined) return Exit.succeed(undefined)
  const [ifMatch, ifNoneMatch] = [named(match), named(noneMatch)]
  if (match !== undefined && ifMatch === undefined) return invalid(faultOf("If-Match", match))
  if (noneMatch !== undefined && ifNoneMatch === undefined) return invalid(faultOf("If-None-Match", noneMatch))
  return Exit.succeed({ ifMatch, ifNoneMatch })
}

const faultOf = (header: string, text: string) =>
  `${header} ${show(text)} is no offset: send the tail, 1 to 16 digits, or entity tags ("…"), or *.`

/** The list of a header, whose empty elements count for nothing (RFC 9110 5.6.1); undefined where it is none. */
const named = (text: string | undefined): Named | undefined => {
  if (text === undefined) return undefined
  if (text.trim() === "*") return "*"
  const found: Array<Validator> = []
  let rest = text.trim()
  while (rest !== "") {
    const [all, weak, tag, bare] = element.exec(rest) ?? []
    if (all === undefined) return undefined
    const named = tag ?? bare
    if (named !== undefined) found.push({ isWeak: weak !== undefined, text: named })
    rest = rest.slice(all.length)
  }
  return found.length === 0 ? undefined : found
}

const element = /^(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"|(\d{1,16}))?[ \t]*(?:,[ \t]*|$)/

/** Whether the stream as it stands, or its absence, is what the request depends on. */
const hold = ({ ifMatch, ifNoneMatch }: Preconditions, info: StreamInfo | undefined): boolean =>
  (ifMatch === undefined || matches(ifMatch, info, true)) &&
  (ifNoneMatch === undefined || !matches(ifNoneMatch, info, false))

/** Weak tags are never the same in the strong comparison that `If-Match` asks for (RFC 9110 8.8.3.2). */
const matches = (named: Named, info: StreamInfo | undefined, isStrong: boolean): boolean =>
  named === "*"
    ? info !== undefined
    : named.some(({ isWeak, text }) => !(isStrong && isWeak) && isOf(text, info))

/** A stream that is not there has no events: its tail is 0, and the first append may ask for that. */
const isOf = (text: string, info: StreamInfo | undefined): boolean => {
  if (/^\d{1,16}$/.test(text)) return Number(text) === (info?.tail ?? 0)
  const [, id, end, closed] = /^([^:]+):\d+:(\d+)(:c)?$/.exec(text) ?? []
  return info !== undefined && id === info.description.id && Number(end) === info.tail &&
    (closed !== undefined) === info.closed
}

const failed = (name: StreamName, info: StreamInfo | undefined) =>
  new PreconditionFailed({ stream: name, ...(info === undefined ? {} : { tail: toOffset(info.tail) }) })

type NameOf = (request: RouteRequest) => Exit.Exit<StreamName, Refusal>

/**
 * The same route, which does nothing where a precondition does not hold. An append that depends on the tail asks for it
 * again when it is made. `mustExist`: where there is no stream, that is what the route answers.
 */
export const onConditions = (
  manager: StreamManager["Service"],
  nameOf: NameOf,
  mustExist: boolean,
  handle: Route["handle"]
): Route["handle"] =>
(request) => {
  const match = request.header("if-match")
  const noneMatch = request.header("if-none-match")
  // The tail alone is a matter of the append.
  if (noneMatch === undefined && (match === undefined || (request.method === "POST" && /^"?\d+"?$/.test(match)))) {
    return handle(request)
  }
  return Effect.gen(function*() {
    const name = yield* nameOf(request)
    const preconditions = yield* preconditionsOf(request)
    const info = yield* infoOf(manager, name)
    if (info === undefined && mustExist) return yield* toEffect(handle(new Settled(request, undefined)))
    if (preconditions === undefined) return yield* toEffect(handle(request))
    if (!hold(preconditions, info)) return yield* failed(name, info)
    const isAppendAt = request.method === "POST" && preconditions.ifMatch !== undefined
    const answer: Answer = yield* toEffect(handle(new Settled(request, isAppendAt ? info?.tail ?? 0 : undefined)))
    // It was made meanwhile by somebody else, and this request has changed nothing.
    if (answer.status === 200 && preconditions.ifNoneMatch === "*" && request.method === "PUT") {
      return yield* failed(name, info)
    }
    return answer
  })
}

/** Deletes the stream, if the request's preconditions hold when it is its turn. */
export const deleteOnConditions = Effect.fnUntraced(function*(
  manager: StreamManager["Service"],
  name: StreamName,
  request: RouteRequest
) {
  const preconditions = yield* preconditionsOf(request)
  if (preconditions === undefined) return yield* manager.delete(name)
  yield* manager.use(
    name,
    (stream) => stream.deleteIf((info) => hold(preconditions, info) ? Effect.void : Effect.fail(failed(name, info)))
  )
})

const infoOf = (manager: StreamManager["Service"], name: StreamName) =>
  manager.use(name, (stream) => stream.info).pipe(
    Effect.catchTag(["StreamNotFound", "StreamGone"], () => Effect.undefined)
  )

/** A request whose preconditions were looked at; what is left of them is the tail. */
class Settled implements RouteRequest {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly stopping: Effect.Effect<void>
  readonly path: string
  readonly parameter: string
  readonly parameters: ReadonlyArray<string>
  readonly query: URLSearchParams
  readonly headerCount: RouteRequest["headerCount"]
  readonly body: RouteRequest["body"]
  readonly collect: RouteRequest["collect"]
  readonly header: RouteRequest["header"]

  constructor(request: RouteRequest, tail: number | undefined) {
    this.method = request.method
    this.target = request.target
    this.version = request.version
    this.stopping = request.stopping
    this.path = request.path
    this.parameter = request.parameter
    this.parameters = request.parameters
    this.query = request.query
    this.headerCount = (name) => request.headerCount(name)
    this.body = (bytesMax) => request.body(bytesMax)
    this.collect = (bytesMax, done) => request.collect(bytesMax, done)
    this.header = (name) =>
      name === "if-none-match"
        ? undefined
        : name === "if-match"
        ? tail === undefined ? undefined : `${tail}`
        : request.header(name)
  }
}
