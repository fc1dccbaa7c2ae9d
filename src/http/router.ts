/**
 * Routes on the raw path (promise 12): a parameter is decoded once, after the path was cut at its slashes, so that no
 * `%2F` or `%2e%2e` in a stream's name ever moves a request to another route.
 */
import { Effect } from "effect"
import { InvalidRequest, MethodNotAllowed, RouteNotFound } from "../domain/errors.ts"
import type { Answering } from "./direct.ts"
import type { Answer, BodyRefused, Done, Incoming } from "./exchange.ts"
import type { Refusal } from "./problem.ts"

export interface RouteRequest extends Incoming {
  /** The decoded value of the path's last `:parameter`, or of what `*` stands for; empty when it has neither. */
  readonly parameter: string
  /** The decoded values of all of them, in the path's order. */
  readonly parameters: ReadonlyArray<string>
  /** The path as it came. */
  readonly path: string
  readonly query: URLSearchParams
}

export interface Route {
  /** A path without its own HEAD answers it as GET. */
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE"
  /**
   * Fixed segments, `:parameter` for one that is not empty, and at the end perhaps `*` for all the rest, slashes
   * included. Where several paths fit, one without `*` wins, then the longest.
   */
  readonly path: string
  readonly handle: (request: RouteRequest) => Answering<Refusal>
}

export const makeRouter = (routes: ReadonlyArray<Route>) => {
  const patterns = new Map<string, Map<string, Route>>()
  for (const route of routes) {
    const methods = patterns.get(route.path) ?? new Map<string, Route>()
    methods.set(route.method, route)
    patterns.set(route.path, methods)
  }
  const table = [...patterns].map(([path, methods]) => {
    const segments = path.split("/")
    const allow = [...methods.keys()].flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method])
    return { segments, isOpen: segments.at(-1) === "*", methods, allow: [...new Set(allow), "OPTIONS"] }
  }).toSorted((one, other) =>
    Number(one.isOpen) - Number(other.isOpen) || (one.isOpen ? other.segments.length - one.segments.length : 0)
  )
  // The first segment leaves a few to compare.
  const beginning = (first: string) => table.filter(({ segments }) => [first, ":"].includes(fixedPart(segments[1]!)))
  const tables = new Map(table.map(({ segments }) => [segments[1]!, beginning(segments[1]!)]))
  const others = beginning(":")

  return (request: Incoming): Answering<Refusal> => {
    const { method, target } = request
    const mark = target.indexOf("?")
    const path = mark < 0 ? target : target.slice(0, mark)
    const segments = path.split("/")
    for (const { allow, isOpen, methods, segments: pattern } of tables.get(segments[1]!) ?? others) {
      if (!matches(pattern, isOpen, segments)) continue
      if (method === "OPTIONS") return Effect.succeed(options(allow))
      const route = methods.get(method) ?? (method === "HEAD" ? methods.get("GET") : undefined)
      if (route === undefined) return Effect.fail(new MethodNotAllowed({ method, allow }))
      if ((method === "GET" || method === "HEAD") && hasBody(request)) {
        return Effect.fail(new InvalidRequest({ message: `A ${method} request has no body here; leave it out.` }))
      }
      const parameters = decoded(pattern, segments)
      if (parameters === undefined) {
        return Effect.fail(new InvalidRequest({ message: `The path ${path} is not percent-encoded UTF-8.` }))
      }
      return route.handle(new Routed(request, path, parameters))
    }
    return Effect.fail(new RouteNotFound({ path }))
  }
}

/** A request on its route. The query is parsed when somebody asks: appends do not. */
class Routed implements RouteRequest {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly stopping: Effect.Effect<void>
  readonly path: string
  readonly parameters: ReadonlyArray<string>
  readonly #request: Incoming
  #query: URLSearchParams | undefined

  constructor(request: Incoming, path: string, parameters: ReadonlyArray<string>) {
    this.method = request.method
    this.target = request.target
    this.version = request.version
    this.stopping = request.stopping
    this.path = path
    this.parameters = parameters
    this.#request = request
  }

  get parameter(): string {
    return this.parameters.at(-1) ?? ""
  }

  get query(): URLSearchParams {
    return this.#query ??= new URLSearchParams(this.target.slice(this.path.length + 1))
  }

  header(name: string) {
    return this.#request.header(name)
  }

  headerCount(name: string) {
    return this.#request.headerCount(name)
  }

  body(bytesMax: number) {
    return this.#request.body(bytesMax)
  }

  bodyUnsafe(bytesMax: number, done: Done<Uint8Array, BodyRefused>) {
    this.#request.bodyUnsafe(bytesMax, done)
  }
}

/** A segment of a path that stands for itself, or `:` for one that stands for any. */
const fixedPart = (segment: string): string => segment.startsWith(":") || segment === "*" ? ":" : segment

const matches = (pattern: ReadonlyArray<string>, isOpen: boolean, segments: ReadonlyArray<string>): boolean => {
  const fixed = isOpen ? pattern.length - 1 : pattern.length
  if (isOpen ? segments.length < pattern.length : segments.length !== pattern.length) return false
  // An empty rest is no name.
  if (isOpen && segments.length === pattern.length && segments[fixed] === "") return false
  for (let i = 1; i < fixed; i++) {
    if (pattern[i] !== segments[i] && !(pattern[i]!.startsWith(":") && segments[i] !== "")) return false
  }
  return true
}

/** What stands where the pattern has parameters; undefined when it is not percent-encoded UTF-8. */
const decoded = (pattern: ReadonlyArray<string>, segments: ReadonlyArray<string>): Array<string> | undefined => {
  const values: Array<string> = []
  for (let i = 1; i < pattern.length; i++) {
    const isRest = pattern[i] === "*" && i === pattern.length - 1
    if (!isRest && !pattern[i]!.startsWith(":")) continue
    const value = decodePercent(isRest ? segments.slice(i).join("/") : segments[i]!)
    if (value === undefined) return undefined
    values.push(value)
  }
  return values
}

/** Percent-decoded once; undefined when it is not percent-encoded UTF-8. */
export const decodePercent = (text: string): string | undefined => {
  if (!text.includes("%")) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const hasBody = (request: Incoming): boolean =>
  request.header("transfer-encoding") !== undefined || (request.header("content-length") ?? "0") !== "0"

const options = (allow: ReadonlyArray<string>): Answer => ({
  status: 204,
  headers: { allow: allow.join(", ") },
  body: undefined
})
