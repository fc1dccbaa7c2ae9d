/**
 * Routes on the raw path (promise 12): a segment is decoded once, after the path was cut at its slashes, so that no
 * `%2F` or `%2e%2e` in a stream's name ever moves a request to another route.
 */
import { Effect, type Scope } from "effect"
import { InvalidRequest, MethodNotAllowed, RouteNotFound } from "../durable-streams/errors.ts"
import type { Answer, Incoming } from "./exchange.ts"
import type { Refusal } from "./problem.ts"

export interface RouteRequest extends Incoming {
  /** The decoded value of the path's `:parameter`; empty when it has none. */
  readonly parameter: string
  readonly query: URLSearchParams
}

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE"
  /** `/fixed`, `/fixed/:parameter` or `/fixed/:parameter/fixed`. */
  readonly path: string
  readonly handle: (request: RouteRequest) => Effect.Effect<Answer, Refusal, Scope.Scope>
}

export const makeRouter = (routes: ReadonlyArray<Route>) => {
  const patterns = new Map<string, Map<string, Route>>()
  for (const route of routes) {
    const methods = patterns.get(route.path) ?? new Map<string, Route>()
    methods.set(route.method, route)
    patterns.set(route.path, methods)
  }
  const table = [...patterns].map(([path, methods]) => ({
    segments: path.split("/"),
    methods,
    allow: [...methods.keys()].flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]).concat("OPTIONS")
  }))

  return (request: Incoming): Effect.Effect<Answer, Refusal, Scope.Scope> => {
    const { method, target } = request
    const mark = target.indexOf("?")
    const path = mark < 0 ? target : target.slice(0, mark)
    const segments = path.split("/")
    for (const { allow, methods, segments: pattern } of table) {
      if (!matches(pattern, segments)) continue
      if (method === "OPTIONS") return Effect.succeed(options(allow))
      const route = methods.get(method === "HEAD" ? "GET" : method)
      if (route === undefined) return Effect.fail(new MethodNotAllowed({ method, allow }))
      if ((method === "GET" || method === "HEAD") && hasBody(request)) {
        return Effect.fail(new InvalidRequest({ message: `A ${method} request has no body here; leave it out.` }))
      }
      const at = pattern.findIndex((segment) => segment.startsWith(":"))
      const parameter = at < 0 ? "" : decode(segments[at]!)
      if (parameter === undefined) {
        return Effect.fail(new InvalidRequest({ message: `The path ${path} is not percent-encoded UTF-8.` }))
      }
      const query = mark < 0 ? noQuery : new URLSearchParams(target.slice(mark + 1))
      return route.handle({ ...request, parameter, query })
    }
    return Effect.fail(new RouteNotFound({ path }))
  }
}

const noQuery = new URLSearchParams()

const matches = (pattern: ReadonlyArray<string>, segments: ReadonlyArray<string>): boolean => {
  if (pattern.length !== segments.length) return false
  for (let i = 1; i < pattern.length; i++) {
    if (pattern[i] !== segments[i] && !(pattern[i]!.startsWith(":") && segments[i] !== "")) return false
  }
  return true
}

const decode = (segment: string): string | undefined => {
  if (!segment.includes("%")) return segment
  try {
    return decodeURIComponent(segment)
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
