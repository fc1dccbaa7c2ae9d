/**
 * What was measured, as rows of a table: every figure with what it is held against, both in the same run.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { removeDirectory, root, temporaryDirectory } from "./servers.ts"

export interface Row {
  readonly what: string
  readonly ours: string
  readonly baseline: string
  /** Ours against the baseline, in words such as `1.70 ×`, with the spread over the rounds. */
  readonly ratio: string
  readonly target: string
  /** Undefined where nothing is asked yet. */
  readonly met: boolean | undefined
}

export interface Bench {
  readonly name: string
  /** One sentence: the load, and what stands in the columns. */
  readonly about: string
  readonly run: () => Promise<ReadonlyArray<Row>>
}

/** A figure over several rounds. */
export interface Figure {
  readonly median: number
  readonly min: number
  readonly max: number
}

export const figure = (values: ReadonlyArray<number>): Figure => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}

/** Ratios of the rounds, each of ours against the baseline measured right beside it. */
export const ratios = (ours: ReadonlyArray<number>, baseline: ReadonlyArray<number>): Figure =>
  figure(ours.map((value, i) => value / baseline[i]!))

/** `1.70 × (1.62–1.81)`. */
export const show = ({ max, median, min }: Figure, unit: string, digits = 1): string =>
  `${round(median, digits)} ${unit} (${round(min, digits)}–${round(max, digits)})`

const round = (value: number, digits: number): string =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })

export const table = (rows: ReadonlyArray<Row>): string => {
  const head = ["", "ours", "baseline", "ratio", "target", ""]
  const lines = rows.map((row) => [
    row.what,
    row.ours,
    row.baseline,
    row.ratio,
    row.target,
    row.met === undefined ? "" : row.met ? "met" : "missed"
  ])
  const widths = head.map((title, i) => Math.max(3, ...[head, ...lines].map((line) => (line[i] ?? title).length)))
  const text = (cells: ReadonlyArray<string>) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`
  return [text(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...lines.map(text)].join("\n")
}

/** What it was measured on. */
export const machine = (): string => {
  const cpus = Os.cpus()
  const { version } = JSON.parse(fs.readFileSync(Path.join(root, "package.json"), "utf8")) as { version: string }
  return [
    `durable-streams ${version} (${commit()}), Node ${process.versions.node}, ${Os.type()} ${Os.release()} ${Os.arch()}`,
    `${cpus.length} × ${cpus[0]?.model.trim() ?? "unknown processor"}, ` +
    `${Math.round(Os.totalmem() / 2 ** 30)} GiB of memory, load before the run ${Os.loadavg()[0]!.toFixed(2)}`,
    `one flush of the disk under ${Os.tmpdir()} (4 KiB and fdatasync): ${show(flushMillis(), "ms", 2)}`
  ].join("\n")
}

const commit = (): string => {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8", stdio: "pipe" })
      .trim()
  } catch {
    return "not in a repository"
  }
}

const flushMillis = (): Figure => {
  const directory = temporaryDirectory()
  const fd = fs.openSync(Path.join(directory, "flushed"), "w")
  const block = Buffer.alloc(4096, 1)
  const times = Array.from({ length: 50 }, () => {
    const from = performance.now()
    fs.writeSync(fd, block)
    fs.fdatasyncSync(fd)
    return performance.now() - from
  })
  fs.closeSync(fd)
  removeDirectory(directory)
  return figure(times)
}
