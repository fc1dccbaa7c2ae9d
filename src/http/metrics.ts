/**
 * The metrics of HTTP: `durable_streams_http_requests`, by method, route and status. A route that streams counts when its
 * answer begins. The series are as many as routes and statuses: a name or a query never becomes an attribute.
 */
import { Effect, type Scope } from "effect"
import { registerCounter } from "../domain/metrics.ts"
import type { Route } from "./router.ts"

export class RequestCounts {
  /** By route, then by status; answers to HEAD by a route for GET are apart. A text as a key would cost more than counting. */
  readonly #counts = new Map<Route | undefined, Map<number, { count: number }>>()
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

  /** `route` is undefined if the request had none. */
  add(method: string, route: Route | undefined, status: number): void {
    let ofRoute = this.#counts.get(route)
    if (ofRoute === undefined) this.#counts.set(route, ofRoute = new Map())
    const key = route === undefined || method === route.method ? status : -status
    const known = ofRoute.get(key)
    if (known !== undefined) return void known.count++
    const series = { count: 1 }
    ofRoute.set(key, series)
    const attributes = {
      method: route === undefined ? "any" : method,
      route: route?.path ?? "none",
      status: String(status)
    }
    this.#register(attributes, () => series.count)
  }
}

type Attributes = Readonly<Record<string, string>>

const requests = { name: "http_requests", description: "Requests answered, by method, route and status" }
