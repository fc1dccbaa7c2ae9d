/**
 * `npm run chaos -- SUITE [--rounds N] [--seed S] [--minutes M] [--connections N] [--spawn "…"] [--target T]
 * [--browser] [--json]`: breaks things on purpose and checks the promises (docs/trust.md). The plan comes from the
 * seed, which is printed first. The last line is JSON. The exit code is 0 if everything held, 1 if it did not, and 77
 * if the suite or a part of it could not run here, which is no pass. A failing run keeps its directory.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import { build } from "../support/built.ts"
import { Random } from "../support/random.ts"
import { suites } from "./suites.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string" },
    seed: { type: "string" },
    minutes: { type: "string" },
    connections: { type: "string" },
    spawn: { type: "string" },
    target: { type: "string" },
    browser: { type: "boolean", default: false },
    json: { type: "boolean", default: false }
  }
})

const usage = (sentence: string): never => {
  console.error(`${sentence}\nnpm run chaos -- SUITE [--rounds N] [--seed S], where SUITE is one of:`)
  for (const { about, name, rounds } of suites) console.error(`  ${name.padEnd(12)} ${about} (${rounds})`)
  process.exit(2)
}

const whole = (name: "rounds" | "seed" | "minutes" | "connections"): number | undefined => {
  const text = values[name]
  if (text === undefined) return undefined
  return /^\d+$/.test(text) ? Number(text) : usage(`--${name} takes a whole number, not ${JSON.stringify(text)}.`)
}

const suite = suites.find(({ name }) => name === positionals[0])
if (suite === undefined || positionals.length !== 1) {
  usage(positionals.length === 0 ? "Which suite?" : `There is no suite named ${positionals.join(" ")}.`)
} else {
  const seed = whole("seed") ?? Math.floor(Math.random() * 2 ** 31)
  const rounds = whole("rounds") ?? suite.rounds
  const directory = fs.mkdtempSync(Path.join(os.tmpdir(), `durable-streams-chaos-${suite.name}-`))
  const say = (text: string) => values.json ? undefined : console.error(text)
  say(`${suite.name}: --seed ${seed} --rounds ${rounds}`)
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130))
  build()
  const from = performance.now()
  const outcome = await suite.run({
    rounds,
    seed,
    random: new Random(seed),
    directory,
    say,
    options: {
      minutes: whole("minutes"),
      connections: whole("connections"),
      browser: values.browser,
      spawn: values.spawn,
      target: values.target,
      brief: false
    }
  })
  const seconds = Math.round((performance.now() - from) / 1_000)
  if ("skipped" in outcome) {
    fs.rmSync(directory, { recursive: true, force: true })
    console.log(JSON.stringify({ suite: suite.name, skipped: outcome.skipped }))
    process.exit(77)
  }
  const { counts, left = [], violations } = outcome
  const holds = violations.length === 0
  for (const violation of violations.slice(0, 20)) console.error(violation)
  if (holds) fs.rmSync(directory, { recursive: true, force: true })
  else console.error(`The files of the failed run are kept in ${directory}`)
  console.log(JSON.stringify({
    suite: suite.name,
    rounds,
    seed,
    ...counts,
    violations: violations.length,
    seconds,
    ...(left.length === 0 ? {} : { skipped: left.join("; ") }),
    ...(holds && left.length > 0 ? {} : { pass: holds })
  }))
  process.exit(!holds ? 1 : left.length > 0 ? 77 : 0)
}
