/**
 * Tests the tests (G9): each mutant is applied alone, in a copy of this tree, and the tests that it names must fail
 * there. The same tests pass in the unchanged copy, and they fail because of an assertion, not because nothing runs.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as Path from "node:path"
import { root } from "../support/built.ts"
import type { Suite } from "./harness/suite.ts"
import { type Mutant, mutants as all } from "./mutant-list.ts"

/** The files of the short forms; each title starts with the name of its suite. */
const short: ReadonlyArray<string> = ["clients", "crashes", "faults", "network"].map((room) =>
  `test/chaos/${room}/short.test.ts`
)

/** Ten times the time that the slowest of them takes on a machine without other work. */
const millisMax = 240_000

export const mutants: Suite = {
  name: "mutants",
  about: "our own code with one mistake at a time: the tests find each",
  rounds: all.length,
  run: async ({ directory, options, rounds, say }) => {
    const copy = copyOfTree(directory)
    const { target } = options
    const chosen = all.slice(0, rounds).filter(({ name }) => target === undefined || name.includes(target))
    const violations: Array<string> = []
    let killed = 0
    for (const [files, titled] of runsOf(chosen)) {
      const { failed, passed } = runTests(copy, files, titled)
      if (failed !== 0 || passed === 0) {
        violations.push(`without any mutant ${files.join()}: ${failed} fail, ${passed} pass`)
      }
    }
    if (violations.length > 0) return { counts: { mutants: chosen.length, killed }, violations }
    for (const mutant of chosen) {
      const verdict = judge(copy, mutant)
      if (verdict === "killed") killed++
      else violations.push(`${mutant.name}: ${verdict}`)
      say(`${mutant.name}: ${verdict}`)
    }
    return { counts: { mutants: chosen.length, killed }, violations }
  }
}

/** Returns the test runs that these mutants need, with a run of its own for each title. */
const runsOf = (mutants: ReadonlyArray<Mutant>) => {
  const files = new Set(mutants.filter(({ titled }) => titled === undefined).flatMap(({ killedBy }) => killedBy))
  const titled = mutants.filter(({ titled }) => titled !== undefined)
  const suites = new Set(mutants.flatMap(({ suites = [] }) => suites))
  return [
    ...(files.size === 0 ? [] : [[[...files], undefined] as const]),
    ...titled.map(({ killedBy, titled }) => [killedBy, titled] as const),
    ...[...suites].map((suite) => [short, `${suite}:`] as const)
  ]
}

const judge = (copy: string, { changes, killedBy, suites = [], titled }: Mutant): string => {
  const originals = new Map<string, string>()
  try {
    for (const { file, from, to } of changes) {
      const path = Path.join(copy, file)
      const text = fs.readFileSync(path, "utf8")
      if (text.split(from).length !== 2) return `it does not apply: ${JSON.stringify(from)} is not once in ${file}`
      if (!originals.has(path)) originals.set(path, text)
      fs.writeFileSync(path, text.replace(from, () => to))
    }
    const runs: ReadonlyArray<readonly [files: ReadonlyArray<string>, titled: string | undefined]> = [
      [killedBy, titled],
      ...suites.map((suite) => [short, `${suite}:`] as const)
    ]
    for (const [files, titled] of runs) {
      const { failed, passed } = runTests(copy, files, titled)
      const tests = `${files.join(", ")}${titled === undefined ? "" : ` "${titled}"`}`
      if (failed === 0) return passed > 0 ? `it survives ${tests}` : `nothing ran of ${tests}`
    }
    return "killed"
  } finally {
    for (const [path, text] of originals) fs.writeFileSync(path, text)
  }
}

/** Copies the sources into a tree with the packages of this one and a build directory of its own. */
const copyOfTree = (directory: string): string => {
  const copy = Path.join(directory, "tree")
  for (const name of ["src", "test", "docs", "package.json", "tsconfig.json", "README.md"]) {
    fs.cpSync(Path.join(root, name), Path.join(copy, name), { recursive: true })
  }
  fs.mkdirSync(Path.join(copy, "node_modules"))
  for (const name of fs.readdirSync(Path.join(root, "node_modules"))) {
    if (name.startsWith(".") && name !== ".bin") continue
    fs.symlinkSync(Path.join(root, "node_modules", name), Path.join(copy, "node_modules", name))
  }
  return copy
}

const runTests = (copy: string, files: ReadonlyArray<string>, titled: string | undefined) => {
  const report = Path.join(copy, "report.json")
  fs.rmSync(report, { force: true })
  spawnSync(
    process.execPath,
    [
      Path.join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      ...files,
      ...(titled === undefined ? [] : ["-t", titled]),
      "--testTimeout=30000",
      "--hookTimeout=30000",
      "--maxWorkers=1",
      "--bail=1",
      "--reporter=json",
      `--outputFile=${report}`
    ],
    { cwd: copy, stdio: "ignore", timeout: millisMax, killSignal: "SIGKILL" }
  )
  if (!fs.existsSync(report)) return { failed: 0, passed: 0 }
  const told = JSON.parse(fs.readFileSync(report, "utf8")) as { numFailedTests: number; numPassedTests: number }
  return { failed: told.numFailedTests, passed: told.numPassedTests }
}
