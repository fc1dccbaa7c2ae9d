/**
 * Routes on the raw path (promise 12): the router cuts the path at its slashes first and decodes each parameter once, so
 * `%2F` or `%2e%2e` in a stream's name never moves a request to another route. Each room of the server adds its routes
 * as a layer.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import type { HttpApiGroup } from "effect/http-api"
import { InvalidRequest, MethodNotAllowed, RouteNotFound } from "../domain/errors.ts"
import type { Refusal } from "../domain/refusal.ts"
import type { Answering } from "./direct.ts"
import type { Answer, BodyRefused, Done, Incoming } from "./exchange.ts"
import type { Gate } from "./gates.ts"

export interface RouteRequest extends Incoming {
  /** The decoded value of the path's last `:parameter`, or of the rest for `*`; empty if the path has neither. */
  readonly parameter: string
  /** The decoded values of all of them, in the path's order. */
  readonly parameters: ReadonlyArray<string>
  /** The path as it came. */
  readonly path: string
  readonly query: URLSearchParams
  /** The additions of the gates to the request, such as its `Caller`. */
  readonly context: Context.Context<never>
}

export interface Route {
  /** A path without its own HEAD answers it as GET. */
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE"
  /**
   * Fixed segments, `:parameter` for one that is not empty, and at the end perhaps `*` for all the rest, slashes
   * included. If several paths fit, one without `*` wins, then the longest.
   */
  readonly path: string
  readonly handle: (request: RouteRequest) => Answering<Refusal>
}

/** The additions of a room to the server. */
export interface Room {
  readonly routes?: ReadonlyArray<Route>
  /** Asked before any route of the server, also those of other rooms. */
  readonly gates?: ReadonlyArray<Gate>
  /** The request headers that the routes read, besides those that every server reads: pages may send them. */
  readonly reads?: ReadonlyArray<string>
  /** The headers that the answers have, besides those of every server: pages may read them. */
  readonly exposes?: ReadonlyArray<string>
  /** Describes the routes for `/openapi.json`. Called once, when a client first asks for the description. */
  readonly describe?: () => ReadonlyArray<HttpApiGroup.Constraint>
}

/**
 * The rooms of this server. A room adds itself while the server is built, before the server listens; of two routes with
 * one method and one path, the later one counts.
 */
export class Router extends Context.Service<Router, {
  readonly add: (room: Room) => Effect.Effect<void>
  /** The rooms that were added, in their order. */
  readonly rooms: Effect.Effect<ReadonlyArray<Room>>
}>()("durable-streams/http/router") {
  static readonly layer: Layer.Layer<Router> = Layer.sync(Router, () => {
    const rooms: Array<Room> = []
    return Router.of({
      add: (room) => Effect.sync(() => void rooms.push(room)),
      rooms: Effect.sync(() => [...rooms])
    })
  })

  /**
   * A room as a layer: the one line with which a server gets it. The scope of `room` is the server's, for metrics and
   * other things that end with it.
   */
  static readonly room = <E, R>(
    room: Effect.Effect<Room, E, R>
  ): Layer.Layer<never, E, Exclude<R, Scope.Scope> | Router> =>
    Layer.effectDiscard(Effect.flatMap(room, (room) => Effect.flatMap(Router, (router) => router.add(room))))
}

/** Finds the route of a request and calls it, or fails with the refusal for the request. */
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

  /** `onRoute` is told the route before the route answers. */
  return (
    request: Incoming,
    context: Context.Context<never> = Context.empty(),
    onRoute?: (route: Route) => void
  ): Answering<Refusal> => {
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
      const parameters = decodeParameters(pattern, segments)
      if (parameters === undefined) {
        return Effect.fail(new InvalidRequest({ message: `The path ${path} is not percent-encoded UTF-8.` }))
      }
      onRoute?.(route)
      return route.handle(new Routed(request, path, parameters, context))
    }
    return Effect.fail(new RouteNotFound({ path }))
  }
}

/** A request on its route. The query is parsed when the route first asks for it: appends do not. */
class Routed implements RouteRequest {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly stopping: Effect.Effect<void>
  readonly path: string
  readonly parameters: ReadonlyArray<string>
  readonly context: Context.Context<never>
  readonly #request: Incoming
  #query: URLSearchParams | undefined

  constructor(
    request: Incoming,
    path: string,
    parameters: ReadonlyArray<string>,
    context: Context.Context<never>
  ) {
    this.method = request.method
    this.target = request.target
    this.version = request.version
    this.stopping = request.stopping
    this.path = path
    this.parameters = parameters
    this.context = context
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

/** Decodes the segments at which the pattern has parameters; undefined if one is not percent-encoded UTF-8. */
const decodeParameters = (
  pattern: ReadonlyArray<string>,
  segments: ReadonlyArray<string>
): Array<string> | undefined => {
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

/** Decodes percent-encoded UTF-8 once; undefined if the text is not that. */
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
