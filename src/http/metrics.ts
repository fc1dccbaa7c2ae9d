/**
 * The metrics of HTTP: `durable_streams_http_requests`, by method, route and status. A route that streams counts when its
 * answer begins. The series are as many as routes and statuses: a name or a query never becomes an attribute.
 */
import { Effect, type Scope } from "effect"
import { registerCounter } from "../domain/metrics.ts"
import type { Route } from "./router.ts"

export class RequestCounts {
  /** By route, then by status; HEAD is beside GET on the same route. */
  readonly #series = new Map<Route | undefined, Map<number, Series>>()
  readonly #register: (attributes: Attributes, read: () => number) => void

  private constructor(register: (attributes: Attributes, read: () => number) => void) {
    this.#register = register
  }

  /** Its series are registered until the scope closes. */
  static readonly make: Effect.Effect<RequestCounts, never, Scope.Scope> = Effect.map(
    Effect.context<Scope.Scope>(),
    (services) => {
      const run = Effect.runSyncWith(services)
      return new RequestCounts((attributes, read) => run(registerCounter({ ...requests, attributes }, read)))
    }
  )

  /** `route` is undefined if the request had none. Every request passes here: no text is made for a known series. */
  add(method: string, route: Route | undefined, status: number): void {
    const key = method === "HEAD" ? -status : status
    const known = this.#series.get(route)?.get(key)
    if (known === undefined) this.#begin(method, route, status, key)
    else known.count++
  }

  #begin(method: string, route: Route | undefined, status: number, key: number): void {
    const series = { count: 1 }
    const ofRoute = this.#series.get(route) ?? new Map<number, Series>()
    this.#series.set(route, ofRoute.set(key, series))
    const attributes = { method: methodOf(method, route), route: route?.path ?? "none", status: String(status) }
    this.#register(attributes, () => series.count)
  }
}

interface Series {
  count: number
}

/** A client chooses its method: one without a route is no attribute. */
const methodOf = (method: string, route: Route | undefined): string =>
  route === undefined ? "any" : method === "HEAD" ? "HEAD" : route.method

type Attributes = Readonly<Record<string, string>>

const requests = { name: "http_requests", description: "Requests answered, by method, route and status" }
