/**
 * The server as a process of its own, as a person would run it: started, watched and killed by its pid.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { createInterface } from "node:readline"
import { build, builtMain } from "../built.ts"

build()

/** Garbage is not memory that anybody holds: little of it is let stand, and none when a test asks, with SIGUSR2. */
const tidy = [
  "--expose-gc",
  "--max-semi-space-size=2",
  "--import",
  "data:text/javascript,process.on('SIGUSR2', () => gc())"
]

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
}

const run = (directory: string, options: ReadonlyArray<string>) => {
  const port = options.some((option) => option.startsWith("--port=")) ? [] : ["--port=0"]
  const child = spawn(
    process.execPath,
    [...tidy, builtMain, "server", "run", ...port, `--data-dir=${directory}`, ...options],
    {
      stdio: ["ignore", "ignore", "pipe"],
      // Large blocks go back to the system when they are freed (mallopt(3)), so that what is resident is in use.
      env: { ...process.env, MALLOC_MMAP_THRESHOLD_: "32768" }
    }
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
  return { child, ended, listening }
}

/** Starts one, on a free port unless the options name one, and waits until it listens. */
export const startServer = async (directory: string, ...options: ReadonlyArray<string>): Promise<ServerProcess> => {
  const { child, ended, listening } = run(directory, options)
  const port = await Promise.race([listening, ended])
  if (typeof port !== "number") throw new Error(`The server ended with ${port.code}: ${port.stderr}`)
  return { child, pid: child.pid!, port, ended }
}

/** Runs one that is expected not to start. */
export const startedInVain = (directory: string, ...options: ReadonlyArray<string>): Promise<Ended> =>
  run(directory, options).ended

/** Ends it whatever it does; returns when it is gone. */
export const kill = async ({ child, ended }: ServerProcess): Promise<void> => {
  child.kill("SIGKILL")
  await ended
}

/** The least memory that is really there (proc_pid_status(5)), in megabytes, in a few looks after collections. */
export const residentMegabytes = async ({ child, pid, port }: ServerProcess): Promise<number> => {
  const looks: Array<number> = []
  for (let look = 0; look < 10; look++) {
    child.kill("SIGUSR2")
    // An answer means that the event loop has turned, and the signal with it.
    for (let turn = 0; turn < 5; turn++) await (await fetch(`http://127.0.0.1:${port}/health`)).text()
    looks.push(Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024)
  }
  return Math.min(...looks)
}
