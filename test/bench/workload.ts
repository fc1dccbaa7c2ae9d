/**
 * The workloads of `npm run bench`, and their options.
 */
import type { Row } from "./report.ts"

export interface Workload {
  readonly name: string
  /** Describes the load and one operation, in a few sentences. */
  readonly about: string
  readonly run: (options: Options) => Promise<ReadonlyArray<Row>>
}

export interface Options {
  /** Measures other servers as well: the reference server, and Redis and NATS if they are installed. */
  readonly against: boolean
}
