/**
 * The measurements, as rows of one table. A row is one server doing one kind of work. Its figures are medians over the
 * rounds, with the lowest and the highest beside them for programs that read the report, and its ratios are those of
 * neighbouring rounds.
 */
import { type Figure, figure, percentile, ratios } from "./figures.ts"
import type { Measured } from "./rounds.ts"

export interface Row {
  readonly work: string
  readonly what: string
  readonly server: string
  readonly perSecond?: Figure
  /** Milliseconds of a single action, such as a start. */
  readonly millis?: Figure
  /** Milliseconds of one operation: medians over the rounds of each round's percentile. */
  readonly latency?: { readonly p50: Figure; readonly p95: Figure; readonly p99: Figure }
  /** Microseconds of server CPU for one operation, user and system time of all its threads. */
  readonly cpuMicros?: Figure
  readonly memory?: { readonly bytes: number; readonly of: "growth" | "a connection" | "whole" }
  /** Server CPU against the bare one's in the same round; 1 for the bare one itself. */
  readonly ratio?: Figure
  /** Server CPU against others that were measured in the same rounds, by their names. */
  readonly versus?: Readonly<Record<string, Figure>>
  readonly goals: ReadonlyArray<Goal>
  /** The load process's own CPU, as a share of one processor. */
  readonly client?: number
  /** The load process was busy and the server was not: the throughput says nothing about the server. */
  readonly clientBound?: boolean
}

export interface Goal {
  readonly goal: string
  readonly value: number
  readonly met: boolean
}

export const atMost = (goal: string, value: number, limit: number): Goal => ({ goal, value, met: value <= limit })
export const atLeast = (goal: string, value: number, limit: number): Goal => ({ goal, value, met: value >= limit })

export interface RowOptions {
  /** The baseline of the ratio; without it, the row is its own baseline. */
  readonly baseline?: Measured
  readonly versus?: ReadonlyArray<Measured>
  readonly goals?: ReadonlyArray<Goal>
  readonly memory?: Row["memory"]
}

/** Returns the row of one side. */
export const row = (work: string, what: string, measured: Measured, options: RowOptions = {}): Row => {
  const baseline = options.baseline ?? measured
  const versus = Object.fromEntries(
    (options.versus ?? []).map((other) => [other.name, ratios(measured.cpuMicros, other.cpuMicros)])
  )
  return {
    work,
    what,
    server: measured.name,
    perSecond: figure(measured.perSecond),
    latency: { p50: figure(measured.p50), p95: figure(measured.p95), p99: figure(measured.p99) },
    cpuMicros: figure(measured.cpuMicros),
    memory: options.memory ?? { bytes: measured.growth, of: "growth" },
    ratio: ratios(measured.cpuMicros, baseline.cpuMicros),
    ...(options.versus === undefined ? {} : { versus }),
    goals: options.goals ?? [],
    client: figure(measured.client).median,
    // 0.9: a process that never waits is seldom measured above it on a machine that does other work.
    clientBound: figure(measured.client).median > 0.9 && figure(measured.busy).median < 0.9
  }
}

/** Returns the latencies of rounds that were measured beside another work. */
export const latencyOf = (rounds: ReadonlyArray<Float64Array>): NonNullable<Row["latency"]> => {
  const sorted = rounds.map((latencies) => latencies.toSorted())
  const at = (share: number) => figure(sorted.map((latencies) => percentile(latencies, share)))
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

export const table = (rows: ReadonlyArray<Row>): string => {
  const head = ["what", "server", "/s", "p50 ms", "p95", "p99", "CPU µs", "memory", "× bare", "client", "goals"]
  const lines = rows.map((row) => [
    row.what,
    row.server,
    row.perSecond === undefined ? "" : `${number(row.perSecond.median)}${row.clientBound === true ? " (client)" : ""}`,
    ...(row.latency === undefined
      ? [row.millis === undefined ? "" : spread(row.millis, number), "", ""]
      : [row.latency.p50, row.latency.p95, row.latency.p99].map(({ median }) => number(median))),
    row.cpuMicros === undefined ? "" : number(row.cpuMicros.median),
    row.memory === undefined ? "" : memory(row.memory),
    row.ratio === undefined ? "" : spread(row.ratio),
    row.client === undefined ? "" : `${Math.round(row.client * 100)} %`,
    [
      ...row.goals.map(describeGoal),
      ...Object.entries(row.versus ?? {}).map(([name, ratio]) => `${spread(ratio)} × ${name}`)
    ]
      .join("; ")
  ])
  const widths = head.map((title, i) => Math.max(3, title.length, ...lines.map((line) => line[i]!.length)))
  // The last column may be long, and no other column follows it.
  const last = head.length - 1
  const text = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, i) => i === last ? cell : cell.padEnd(widths[i]!)).join(" | ")} |`
  return [
    text(head),
    `| ${widths.map((width, i) => "-".repeat(i === last ? 3 : width)).join(" | ")} |`,
    ...lines.map(text)
  ].join("\n")
}

const describeGoal = ({ goal, met, value }: Goal): string => `${goal}: ${number(value)}, ${met ? "met" : "MISSED"}`

const spread = ({ max, median, min }: Figure, show = (value: number) => value.toFixed(2)): string =>
  min === max ? show(median) : `${show(median)} (${show(min)}–${show(max)})`

const memory = ({ bytes, of }: NonNullable<Row["memory"]>): string =>
  of === "a connection"
    ? `${(bytes / 1e3).toFixed(1)} kB a connection`
    : `${(bytes / 1e6).toFixed(1)} MB${of === "growth" ? " grown" : ""}`

/** Three significant digits, or all digits before the point. */
const number = (value: number): string =>
  Math.abs(value) >= 100
    ? Math.round(value).toLocaleString("en")
    : value.toLocaleString("en", { maximumSignificantDigits: 3 })
