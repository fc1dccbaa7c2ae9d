/**
 * Twenty commands at once that all need a server (G14): in an empty folder, while a server stops, while one starts
 * slowly, just after one was killed, and in a folder whose files name a foreign process. At the end there is one
 * server, every command has succeeded, and every event is there once.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as Path from "node:path"
import { builtMain } from "../../support/built.ts"
import type { Suite } from "../harness/suite.ts"

const commandsAtOnce = 20
/** The number of commands in a short form: each costs a third of a second of processor time. */
const commandsBriefly = 8

/** The rounds take these in turn. */
const situations = ["empty", "stopping", "slow start", "killed", "forged"] as const
type Situation = typeof situations[number]

/** Delays the start of a daemon, and of no other process, by two seconds. */
const slowStart =
  "--import=data:text/javascript,if(process.argv.includes('--daemon'))await(new%20Promise(r=>setTimeout(r,2000)))"

/** Ten times the time that twenty commands take on two cores. */
const patienceMillis = 90_000

export const daemon: Suite = {
  name: "daemon",
  about: "twenty commands at once start one server, whatever state the previous server is in",
  rounds: 50,
  run: async ({ directory, options, random, rounds, say }) => {
    const atOnce = options.brief ? commandsBriefly : commandsAtOnce
    const violations: Array<string> = []
    let commands = 0
    for (let round = 0; round < rounds && violations.length === 0; round++) {
      const situation = situations[round % situations.length]!
      const folder = Path.join(directory, `${round}`)
      fs.mkdirSync(folder)
      const found = await runTogether(folder, situation, random.between(0, 60), atOnce)
      commands += atOnce
      violations.push(...found.map((what) => `round ${round} (${situation}): ${what}`))
      for (const pid of serversOf(folder)) process.kill(pid, "SIGKILL")
      if (violations.length === 0) fs.rmSync(folder, { recursive: true, force: true })
      if (round % 10 === 9) say(`${round + 1} rounds, ${commands} commands`)
    }
    return { counts: { commands }, violations }
  }
}

const runTogether = async (
  folder: string,
  situation: Situation,
  delayMillis: number,
  atOnce: number
): Promise<ReadonlyArray<string>> => {
  const found: Array<string> = []
  if (situation === "stopping" || situation === "killed") {
    const { code, stderr } = await run(folder, ["server", "start"])
    if (code !== 0) return [`the first server did not start: ${stderr}`]
  }
  // Files copied from elsewhere: the process that they name is this one, and no server listens at the address.
  if (situation === "forged") {
    const directory = Path.join(folder, ".iterate")
    fs.mkdirSync(directory, { mode: 0o700 })
    const forged = { pid: process.pid, port: 9, host: "127.0.0.9", secret: "0".repeat(64) }
    for (const [name, text] of Object.entries(forged)) {
      fs.writeFileSync(Path.join(directory, `daemon.${name}`), `${text}\n`)
    }
  }
  let stopping: Promise<Ended> | undefined
  if (situation === "killed") { for (const pid of serversOf(folder)) process.kill(pid, "SIGKILL") }
  if (situation === "stopping") {
    stopping = run(folder, ["server", "stop"])
    await new Promise((resolve) => setTimeout(resolve, delayMillis))
  }
  const env = situation === "slow start" ? { NODE_OPTIONS: slowStart } : {}
  const ended = await Promise.all(
    Array.from({ length: atOnce }, (_, i) => run(folder, ["stream", "append", "-n", "race", "-m", `${i}`], env))
  )
  await stopping
  ended.forEach(({ code, stderr }, i) => {
    if (code !== 0) found.push(`command ${i} ended with ${code}: ${stderr.trim()}`)
    if (stderr.split("\n").length > 2) found.push(`command ${i} said more than a line: ${stderr.trim()}`)
  })
  const running = serversOf(folder).length
  if (running > 1 || (running === 0 && situation !== "stopping")) found.push(`${running} servers run`)
  const got = await run(folder, ["stream", "get", "-n", "race"])
  const events = got.stdout.split("\n").slice(0, -1).map((line) =>
    JSON.parse(line) as { readonly offset: string; readonly data: { readonly text: string } }
  )
  const texts = new Set(events.map(({ data }) => data.text))
  if (events.length !== atOnce || texts.size !== atOnce) {
    found.push(`${events.length} events, ${texts.size} different ones`)
  }
  if (events.some(({ offset }, i) => Number(offset) !== i)) found.push("offsets do not count from 0")
  return found
}

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const run = (cwd: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [builtMain, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: patienceMillis
    })
    const text = collectOutput(child)
    child.on("close", (code) => resolve({ code, ...text() }))
  })

const collectOutput = (child: ChildProcess) => {
  let stdout = ""
  let stderr = ""
  child.stdout!.setEncoding("utf8").on("data", (text: string) => stdout += text)
  child.stderr!.setEncoding("utf8").on("data", (text: string) => stderr += text)
  return () => ({ stdout, stderr })
}

/** Finds the processes that serve the folder's data directory, by their command lines (proc_pid_cmdline(5)). */
const serversOf = (folder: string): ReadonlyArray<number> =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      const args = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")
      return args.includes("--daemon") && args.some((arg) => arg === `--data-dir=${fs.realpathSync(folder)}/.iterate`)
    } catch {
      return false
    }
  })
