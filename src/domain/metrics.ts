/**
 * Metrics that cost nothing until they are read: the server counts in plain numbers, and Effect's metric registry asks
 * for them. Each room names its metrics in a file `metrics.ts`; all begin with `durable_streams_`.
 */
import { type Context, Effect, Metric, type Scope } from "effect"

export interface MetricDescription {
  /** Without the prefix. */
  readonly name: string
  readonly description: string
  /** Tells one series of the metric from the others. */
  readonly attributes?: Readonly<Record<string, string>>
}

/** Registers a counter until the scope closes. `read` returns how many there have been. */
export const registerCounter = (
  { attributes, description, name }: MetricDescription,
  read: () => number
): Effect.Effect<void, never, Scope.Scope> =>
  register(Metric.counter(`${prefix}${name}`, { description, attributes, incremental: true }), () => ({
    count: read(),
    incremental: true
  }))

/** Registers a gauge until the scope closes. `read` returns how many there are now. */
export const registerGauge = (
  { attributes, description, name }: MetricDescription,
  read: () => number
): Effect.Effect<void, never, Scope.Scope> =>
  register(Metric.gauge(`${prefix}${name}`, { description, attributes }), () => ({ value: read() }))

/** The name of a metric that is updated as Effect's own are, such as a histogram. */
export const metricName = (name: string): string => `${prefix}${name}`

const prefix = "durable_streams_"

const register = <Input, State>(metric: Metric.Metric<Input, State>, get: () => State) =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.contextWith((context: Context.Context<never>) =>
      Effect.sync(() => Metric.registerUnsafe(metric, context, { get, update: ignore, modify: ignore }))
    ),
    (registration) => Effect.sync(() => registration.remove())
  ))

const ignore = () => {}
