/**
 * The server as a process of its own, as a person would run it: started, watched and killed by its pid.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import { build, builtMain } from "./built.ts"
import { keptBy, tells } from "./memory.ts"

build()

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

export interface ServerProcess {
  readonly child: ChildProcess
  readonly pid: number
  readonly port: number
  readonly ended: Promise<Ended>
  /** Where it tells what it keeps (test/support/memory.ts). */
  readonly told: string
}

const run = (directory: string, options: ReadonlyArray<string>) => {
  const port = options.some((option) => option.startsWith("--port=")) ? [] : ["--port=0"]
  const told = Path.join(os.tmpdir(), `durable-streams-tells-${randomUUID()}.json`)
  const child = spawn(
    process.execPath,
    [builtMain, "server", "run", ...port, `--data-dir=${directory}`, ...options],
    { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...tells(told) } }
  )
  const lines: Array<string> = []
  const log = createInterface({ input: child.stderr! })
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, stderr: lines.join("\n") }))
  })
  const listening = new Promise<number>((resolve) => {
    log.on("line", (line) => {
      lines.push(line)
      const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
      if (port !== undefined) resolve(Number(port))
    })
  })
  return { child, ended, listening, told }
}

/** Starts one, on a free port unless the options name one, and waits until it listens. */
export const startServer = async (directory: string, ...options: ReadonlyArray<string>): Promise<ServerProcess> => {
  const { child, ended, listening, told } = run(directory, options)
  const port = await Promise.race([listening, ended])
  if (typeof port !== "number") throw new Error(`The server ended with ${port.code}: ${port.stderr}`)
  return { child, pid: child.pid!, port, ended, told }
}

/** Runs one that is expected not to start. */
export const startedInVain = (directory: string, ...options: ReadonlyArray<string>): Promise<Ended> =>
  run(directory, options).ended

/** Ends it whatever it does; returns when it is gone. */
export const kill = async ({ child, ended, told }: ServerProcess): Promise<void> => {
  child.kill("SIGKILL")
  await ended
  fs.rmSync(told, { force: true })
}

/** The memory that it keeps, in megabytes: what is resident when garbage is collected. */
export const residentMegabytes = async ({ pid, told }: ServerProcess): Promise<number> =>
  (await keptBy(pid, told)).resident / 2 ** 20
