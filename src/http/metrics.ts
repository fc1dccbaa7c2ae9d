/**
 * The metrics of HTTP: `durable_streams_http_requests`, by method, route and status. A route that streams counts when its
 * answer begins. The series are as many as routes and statuses: a name or a query never becomes an attribute.
 */
import { Effect, type Scope } from "effect"
import { registerCounter } from "../domain/metrics.ts"
import type { Route } from "./router.ts"

export class RequestCounts {
  readonly #counts = new Map<string, { count: number }>()
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
    const path = route?.path ?? "none"
    const key = `${status} ${route === undefined ? "any" : method} ${path}`
    const known = this.#counts.get(key)
    if (known !== undefined) return void known.count++
    const series = { count: 1 }
    this.#counts.set(key, series)
    const attributes = { method: route === undefined ? "any" : method, route: path, status: String(status) }
    this.#register(attributes, () => series.count)
  }
}

type Attributes = Readonly<Record<string, string>>

const requests = { name: "http_requests", description: "Requests answered, by method, route and status" }
