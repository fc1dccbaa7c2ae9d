/**
 * The servers under the clock, each a process of its own: ours as it is shipped, and the bare ones it is held against.
 * Whatever is started here is ended here, and whatever is written lies in a temporary directory that goes with it.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

export const root = Path.resolve(import.meta.dirname, "../..")
export const builtMain = Path.join(root, "dist/main.js")
export const sourceMain = Path.join(root, "src/durable-streams/main.ts")

export interface ServerProcess {
  readonly pid: number
  readonly port: number
  /** Processor time so far, of all threads, user and system, in microseconds. */
  readonly cpu: () => number
  readonly stop: () => Promise<void>
}

/** Makes `dist/main.js` when it is not there or older than the sources. */
export const build = (): void => {
  const built = fs.statSync(builtMain, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = fs.readdirSync(Path.join(root, "src"), { recursive: true, encoding: "utf8" })
  const newest = Math.max(...sources.map((file) => fs.statSync(Path.join(root, "src", file)).mtimeMs))
  if (built < newest) execFileSync("npm", ["run", "-s", "build:cli"], { cwd: root, stdio: "ignore" })
}

/** Our server, built, on a free port. */
export const startOurs = (directory: string, flags: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  start([builtMain, "server", "run", "--port=0", `--data-dir=${directory}`, ...flags], env)

/** The bare server; `bare-server.ts` says what it can do. */
export const startBare = () => start([Path.join(import.meta.dirname, "bare-server.ts")], {})

/** The reference server on a free port, on files where there is a directory; `reference-server.ts` says how. */
export const startReference = (directory?: string) =>
  start([
    Path.join(import.meta.dirname, "reference-server.ts"),
    ...(directory === undefined ? [] : [`--data-dir=${directory}`])
  ], {})

const start = async (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): Promise<ServerProcess> => {
  const child = spawn(process.execPath, args, {
    env: { ...withoutOurs(), ...env },
    // Tests and people may have set a port or a directory; what is measured is what stands here.
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"]
  })
  running.add(child)
  const port = await listening(child)
  return {
    pid: child.pid!,
    port,
    cpu: () => cpuMicros(child.pid!),
    stop: () => end(child)
  }
}

/** The port that the child names on stderr. */
const listening = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    let said = ""
    const timer = setTimeout(() => reject(new Error(`A server did not start in time: ${said}`)), 20_000)
    child.stderr!.on("data", (chunk) => {
      said += String(chunk)
      const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1]
      if (port === undefined) return
      clearTimeout(timer)
      said = ""
      resolve(Number(port))
    })
    child.once("exit", () => reject(new Error(`A server ended before it listened: ${said}`)))
  })

const end = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    running.delete(child)
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000)
    child.once("exit", () => {
      clearTimeout(timer)
      resolve()
    })
    child.kill("SIGTERM")
  })

const running = new Set<ChildProcess>()
const directories = new Set<string>()

export const temporaryDirectory = (): string => {
  const directory = fs.mkdtempSync(Path.join(Os.tmpdir(), "durable-streams-bench-"))
  directories.add(directory)
  return directory
}

export const removeDirectory = (directory: string): void => {
  fs.rmSync(directory, { recursive: true, force: true })
  directories.delete(directory)
}

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
  for (const directory of directories) removeDirectory(directory)
})

/** The environment without settings of a server or a client. */
export const withoutOurs = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("DURABLE_STREAMS_")))

/** User and system time of all threads, from `/proc/<pid>/stat` (proc(5)): clock ticks of 10 ms. */
const cpuMicros = (pid: number): number => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
  // The name before the last bracket may hold anything; utime and stime are the 12th and 13th field behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}
