/**
 * Rounds in turns: every side does its work once, then every side again, so that other work of the machine affects all
 * of them alike.
 */
import { percentile } from "./figures.ts"
import type { ServerProcess } from "./servers.ts"

/** The result of a round. */
export interface Done {
  readonly operations: number
  /** The latency of each operation, or of each awaited action; in milliseconds, in any order. */
  readonly latencies: Float64Array
  /** The duration, if it differs from the whole round. */
  readonly millis?: number
}

export interface Side {
  readonly name: string
  readonly server: ServerProcess
  /** Runs before each round, and is not counted. */
  readonly before?: () => Promise<unknown>
  readonly round: () => Promise<Done>
}

/** The measurements of a side, one value a round. */
export interface Measured {
  readonly name: string
  readonly perSecond: Array<number>
  readonly p50: Array<number>
  readonly p95: Array<number>
  readonly p99: Array<number>
  /** The server CPU of one operation. */
  readonly cpuMicros: Array<number>
  /** The load process's CPU as a share of one processor, and the server's. */
  readonly client: Array<number>
  readonly busy: Array<number>
  /** The growth of the server's memory in bytes, since the end of the warm-up. */
  growth: number
}

/**
 * Measures the sides in turns. On a machine that is busy with other work, it measures fewer rounds than wanted once
 * `millisMax` have passed, but never fewer than three (or than wanted). The `warmUps` rounds come first and are not
 * counted.
 */
export const takeTurns = async (
  sides: ReadonlyArray<Side>,
  { millisMax = 30_000, rounds, warmUps = 1 }: {
    readonly rounds: number
    readonly millisMax?: number
    readonly warmUps?: number
  }
): Promise<ReadonlyArray<Measured>> => {
  for (let round = 0; round < warmUps; round++) {
    for (const { before, round } of sides) {
      await before?.()
      await round()
    }
  }
  const all = sides.map((side) => ({ side, measured: noMeasurements(side.name), bytes: side.server.memory() }))
  const from = performance.now()
  for (let round = 0; round < rounds; round++) {
    if (round >= 3 && performance.now() - from > millisMax) break
    for (const { bytes, measured, side } of all) {
      await side.before?.()
      await one(side, measured)
      process.stderr.write(".")
      measured.growth = side.server.memory() - bytes
    }
  }
  return all.map(({ measured }) => measured)
}

const one = async ({ round, server }: Side, measured: Measured): Promise<void> => {
  const own = process.cpuUsage()
  const cpu = server.cpu()
  const from = performance.now()
  const { latencies, millis, operations } = await round()
  const whole = performance.now() - from
  const spent = server.cpu() - cpu
  const { system, user } = process.cpuUsage(own)
  latencies.sort()
  measured.perSecond.push(operations / (millis ?? whole) * 1_000)
  measured.p50.push(percentile(latencies, 0.5))
  measured.p95.push(percentile(latencies, 0.95))
  measured.p99.push(percentile(latencies, 0.99))
  measured.cpuMicros.push(spent / operations)
  measured.client.push((system + user) / 1_000 / whole)
  measured.busy.push(spent / 1_000 / whole)
}

const noMeasurements = (name: string): Measured => ({
  name,
  perSecond: [],
  p50: [],
  p95: [],
  p99: [],
  cpuMicros: [],
  client: [],
  busy: [],
  growth: 0
})
