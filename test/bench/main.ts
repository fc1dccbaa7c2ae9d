/**
 * `npm run bench [-- --only append,fan-out] [--against] [--json] [--smoke]`: measures against bare baselines in the
 * same run and prints one table, or one JSON document. Progress goes to stderr. docs/perf/ explains the figures. A
 * missed goal is reported, and is no failure: machines differ. A lost, duplicated or misordered event is a failure.
 */
import { parseArgs } from "node:util"
import { build } from "../support/built.ts"
import { append } from "./append.ts"
import { catchUp } from "./catch-up.ts"
import { commandLine } from "./command-line.ts"
import { fanOut } from "./fan-out.ts"
import { growth } from "./growth.ts"
import { describe, machine } from "./machine.ts"
import { mixed } from "./mixed.ts"
import { type Row, table } from "./report.ts"
import { restart } from "./restart.ts"
import { smoke } from "./smoke.ts"

const workloads = [append, fanOut, catchUp, growth, restart, commandLine, mixed]

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", multiple: true, default: [] },
    against: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false }
  }
})

const wanted = [...values.only, ...positionals].flatMap((names) => names.split(","))
const unknown = wanted.filter((name) => !workloads.some((workload) => workload.name === name))
if (unknown.length > 0) {
  console.error(
    `There is no workload named ${unknown.join(", ")}; there are ${workloads.map(({ name }) => name).join(", ")}.`
  )
  process.exit(2)
}

/** Several times the duration on two busy cores, with other servers included. */
const millisMax = values.smoke ? 60_000 : 30 * 60_000
const timer = setTimeout(() => {
  console.error("The bench took longer than its limit; a row that is not printed was not measured.")
  process.exit(1)
}, millisMax)
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130))

build()
const from = performance.now()
const on = machine()
const chosen = values.smoke
  ? [smoke]
  : workloads.filter(({ name }) => wanted.length === 0 || wanted.includes(name))
const rows: Array<Row> = []
const seconds: Record<string, number> = {}
for (const { name, run } of chosen) {
  const start = performance.now()
  process.stderr.write(`${name} `)
  rows.push(...await run(values))
  seconds[name] = Math.round((performance.now() - start) / 1_000)
  process.stderr.write(` ${seconds[name]} s\n`)
}
const missed = rows.flatMap(({ goals }) => goals).filter(({ met }) => !met).length
if (values.json) {
  console.log(JSON.stringify({ machine: on, seconds, missed, rows }, null, 2))
} else {
  const took = Math.round((performance.now() - from) / 1_000)
  console.log(
    [
      describe(on),
      ...chosen.map(({ about, name }) => `${name}: ${about}`),
      table(rows),
      `${missed === 0 ? "No goal was missed" : `${missed} goals were missed`}, in ${took} s.`
    ].join("\n\n")
  )
}
clearTimeout(timer)
process.exit()
