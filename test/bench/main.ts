/**
 * `npm run bench [-- append follow catch-up start-up against]`: measures against bare baselines in the same run and prints
 * tables. What the figures mean is in docs/perf/. A missed target is told, and is no failure: machines differ.
 */
import { against } from "./against.ts"
import { append } from "./append.ts"
import { catchUp } from "./catch-up.ts"
import { follow } from "./follow.ts"
import { machine, table } from "./report.ts"
import { build } from "./servers.ts"
import { startUp } from "./start-up.ts"

const benches = [append, follow, catchUp, startUp, against]

/** Twice what it takes on two busy cores. */
const timeMax = 10 * 60_000

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !benches.some((bench) => bench.name === name))
if (unknown.length > 0) {
  console.error(
    `There is no bench named ${unknown.join(", ")}; there are ${benches.map(({ name }) => name).join(", ")}.`
  )
  process.exit(2)
}

const timer = setTimeout(() => {
  console.error("The bench took longer than it may; what is not printed was not measured.")
  process.exit(1)
}, timeMax)
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130))

const from = performance.now()
build()
console.log(`${machine()}\nFigures are medians of the rounds, with the lowest and the highest in brackets.`)
let missed = 0
for (const bench of benches) {
  if (wanted.length > 0 && !wanted.includes(bench.name)) continue
  console.log(`\n## ${bench.name}\n\n${bench.about}\n`)
  const rows = await bench.run()
  missed += rows.filter((row) => row.met === false).length
  console.log(table(rows))
}
const seconds = Math.round((performance.now() - from) / 1000)
console.log(`\n${missed === 0 ? "No target was missed" : `${missed} missed`}, in ${seconds} s.`)
clearTimeout(timer)
process.exit()
