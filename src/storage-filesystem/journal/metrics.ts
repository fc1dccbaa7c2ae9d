/**
 * The metrics of flushes: `durable_streams_flush_seconds`, and `durable_streams_flush_commits`, how many commits a flush made
 * durable. Both have the attribute `of`: `log`, or `journal` for a flush that many logs share.
 */
import { type Clock, type Context, Metric } from "effect"
import { metricName } from "../../domain/metrics.ts"
import { steadyMillis } from "../../domain/steady-time.ts"

type Flushed = "log" | "journal"

/** From what an SSD with a cache takes to what a disk takes before a server gives up on it. */
const secondsBoundaries = [0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]

/** Doubled up to what a journal's area has room for. */
const commitsBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024]

const histogram = (name: string, description: string, boundaries: ReadonlyArray<number>) => (of: Flushed) =>
  Metric.histogram(metricName(name), { description, boundaries, attributes: { of } })

const seconds = histogram("flush_seconds", "How long flushes took", secondsBoundaries)
const commits = histogram("flush_commits", "Commits that a flush made durable", commitsBoundaries)

/** Returns a function that begins to measure a flush, and returns a function that ends it. */
export const makeFlushTimer = (of: Flushed, clock: Clock.Clock, services: Context.Context<never>) => {
  const [secondsOf, commitsOf] = [seconds(of), commits(of)]
  return (commitCount: number) => {
    const from = steadyMillis(clock)
    return () => {
      secondsOf.updateUnsafe((steadyMillis(clock) - from) / 1_000, services)
      commitsOf.updateUnsafe(commitCount, services)
    }
  }
}
