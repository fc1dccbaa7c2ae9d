/**
 * The measured servers, each a process of its own: ours as it is shipped, and the bare ones to compare it with. This
 * file ends every process that it starts, and writes only to temporary directories that it removes.
 */
import { type ChildProcess, fork, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { builtMain, root } from "../support/built.ts"
import { freePort } from "../support/free-port.ts"
import { residentBytes } from "../support/memory.ts"
import type { Writing } from "./bare-files.ts"

export const sourceMain = Path.join(root, "src/durable-streams/main.ts")

export interface ServerProcess {
  readonly pid: number
  readonly port: number
  /** Returns the processor time so far, of all threads, user and system, in microseconds. */
  readonly cpu: () => number
  /** Returns the resident bytes of memory. */
  readonly memory: () => number
  readonly stop: () => Promise<void>
  /** Sends `kill -9`, and waits until the process is gone. */
  readonly kill: () => Promise<void>
}

/** Starts our server, built, on a free port. */
export const startOurs = (directory: string, flags: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  start([builtMain, "server", "run", "--port=0", `--data-dir=${directory}`, ...flags], env)

/**
 * Starts our server as a program embeds it, from the sources, on a free port; with `--hook`, a hook checks every event.
 */
export const startEmbedded = (directory: string, flags: ReadonlyArray<string>) =>
  start([Path.join(import.meta.dirname, "embedded-server.ts"), `--data-dir=${directory}`, ...flags], {})

/** Starts the bare server; `bare-server.ts` lists its paths. */
export const startBare = () => start([Path.join(import.meta.dirname, "bare-server.ts")], {})

/** Starts the reference server on a free port, on files if there is a directory; see `reference-server.ts`. */
export const startReference = (directory?: string) =>
  start([
    Path.join(import.meta.dirname, "reference-server.ts"),
    ...(directory === undefined ? [] : [`--data-dir=${directory}`])
  ], {})

export interface FileProcess extends ServerProcess {
  /** Returns the milliseconds of each write. */
  readonly write: (writing: Writing) => Promise<Float64Array>
}

/** Starts the process that only writes to a file; it has no port. */
export const startBareFiles = (directory: string): FileProcess => {
  const child = fork(Path.join(import.meta.dirname, "bare-files.ts"), [Path.join(directory, "written")], {
    serialization: "advanced"
  })
  running.add(child)
  return {
    ...toServerProcess(child, 0),
    write: async (writing) => {
      child.send(writing)
      const [took] = await once(child, "message") as [Float64Array]
      return took
    }
  }
}

/** Starts Redis, which flushes before it answers and keeps no snapshots; undefined if it is not installed. */
export const startRedis = async (directory: string): Promise<ServerProcess | undefined> => {
  const program = findProgram("redis-server")
  if (program === undefined) return undefined
  const port = await freePort()
  const flags = { port, bind: "127.0.0.1", dir: directory, appendonly: "yes", appendfsync: "always", save: "" }
  const child = run(program, Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]), {})
  await waitForOutput(child, /Ready to accept connections/)
  return toServerProcess(child, port)
}

/** Starts NATS with JetStream, on a port that it chooses; undefined if it is not installed. */
export const startNats = async (directory: string): Promise<ServerProcess | undefined> => {
  const program = findProgram("nats-server")
  if (program === undefined) return undefined
  const child = run(program, ["-a", "127.0.0.1", "-p", "-1", "-js", "-sd", directory], {})
  const [port] = await Promise.all([
    waitForOutput(child, /client connections on 127\.0\.0\.1:(\d+)/),
    waitForOutput(child, /Server is ready/)
  ])
  return toServerProcess(child, Number(port))
}

const findProgram = (program: string): string | undefined =>
  (process.env["PATH"] ?? "").split(":").map((directory) => Path.join(directory, program)).find((file) =>
    fs.existsSync(file)
  )

const start = async (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): Promise<ServerProcess> => {
  const child = run(process.execPath, args, env)
  return toServerProcess(child, Number(await waitForOutput(child, /http:\/\/127\.0\.0\.1:(\d+)/)))
}

const run = (program: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): ChildProcess => {
  const child = spawn(program, args, {
    // The caller's environment may set a port or a directory; the measurement uses only the settings here.
    env: { ...withoutOurs(), ...env },
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"]
  })
  running.add(child)
  return child
}

const toServerProcess = (child: ChildProcess, port: number): ServerProcess => ({
  pid: child.pid!,
  port,
  cpu: () => cpuMicros(child.pid!),
  memory: () => residentBytes(child.pid!),
  stop: () => end(child, "SIGTERM"),
  kill: () => end(child, "SIGKILL")
})

/** Waits for output of the child that matches. Returns the first group, such as its port. */
const waitForOutput = (child: ChildProcess, what: RegExp): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    let text = ""
    const timer = setTimeout(() => reject(new Error(`A server did not start in time: ${text}`)), 20_000)
    const listen = (chunk: Buffer) => {
      if (text === "found") return
      text += String(chunk)
      const found = what.exec(text)
      if (found === null) return
      clearTimeout(timer)
      text = "found"
      resolve(found[1])
    }
    child.stdout!.on("data", listen)
    child.stderr!.on("data", listen)
    child.once("exit", () => reject(new Error(`A server ended before it listened: ${text}`)))
  })

const end = (child: ChildProcess, signal: NodeJS.Signals): Promise<void> =>
  new Promise((resolve) => {
    running.delete(child)
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000)
    child.once("exit", () => {
      clearTimeout(timer)
      resolve()
    })
    child.kill(signal)
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

/** Returns the environment without settings of our server or client. */
export const withoutOurs = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("DURABLE_STREAMS_")))

/** Returns the user and system time of all threads, from `/proc/<pid>/stat` (proc(5)): clock ticks of 10 ms. */
const cpuMicros = (pid: number): number => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
  // The name before the last bracket may hold anything; utime and stime are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

export interface Servers {
  readonly add: <A extends ServerProcess>(server: Promise<A>) => Promise<A>
  readonly directory: () => string
}

/** Ends the added servers and removes the directories, whatever happens. */
export const withServers = async <A>(use: (servers: Servers) => Promise<A>): Promise<A> => {
  const added: Array<ServerProcess> = []
  const own: Array<string> = []
  try {
    return await use({
      add: async (starting) => {
        const server = await starting
        added.push(server)
        return server
      },
      directory: () => {
        const directory = temporaryDirectory()
        own.push(directory)
        return directory
      }
    })
  } finally {
    await Promise.all(added.map(({ stop }) => stop()))
    own.forEach(removeDirectory)
  }
}
