/**
 * What `npm run bench` can be asked for, and what every workload is told.
 */
import type { Row } from "./report.ts"

export interface Workload {
  readonly name: string
  /** What the load is and what an operation is, in a few sentences. */
  readonly about: string
  readonly run: (options: Options) => Promise<ReadonlyArray<Row>>
}

export interface Options {
  /** Others beside us: the reference server, and of Redis and NATS what is installed. */
  readonly against: boolean
}
