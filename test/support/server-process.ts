/**
 * A server as a process of its own: started, watched, killed, and started again on its port and its directory. It is
 * our shipped program, or any other server that speaks the protocol.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { build, builtMain } from "./built.ts"
import { freePort } from "./free-port.ts"
import { type Kept, keptBy, tells } from "./memory.ts"

build()

export interface StartOptions {
  readonly flags?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** The file that `node` runs in place of the shipped program. */
  readonly main?: string
  /** Whether the test can ask it for the memory that it keeps. */
  readonly tellsMemory?: boolean
  /** The words in front of `node`: strace, prlimit, … */
  readonly wrapper?: ReadonlyArray<string>
}

/** A cold start takes a fraction of a second; under strace on a busy machine, a few. */
const startMillis = 30_000

export class ServerProcess {
  /** Its data directory. */
  readonly directory: string
  readonly port: number
  readonly #spawned: string | undefined
  readonly #log: string
  readonly #memory: string
  #child: ChildProcess | undefined
  #ended: Promise<number | null> | undefined

  private constructor(directory: string, port: number, spawned: string | undefined) {
    this.directory = Path.join(directory, "data")
    // Another server may have the same directory, or try to get it.
    this.#log = Path.join(directory, `server.${port}.log`)
    this.#memory = Path.join(directory, `memory.${port}.json`)
    this.port = port
    this.#spawned = spawned
  }

  /**
   * Takes a free port, and keeps it; its data and its log are in the directory. `spawned` is a line of shell with
   * `{port}` and `{dir}`, for a server that is not ours.
   */
  static async make(directory: string, spawned?: string): Promise<ServerProcess> {
    fs.mkdirSync(directory, { recursive: true })
    return new ServerProcess(directory, await freePort(), spawned)
  }

  get pid(): number {
    return this.#child!.pid!
  }

  /** Its output on stdout and stderr, in all its lives. */
  get log(): string {
    return fs.existsSync(this.#log) ? fs.readFileSync(this.#log, "utf8") : ""
  }

  /** The memory that is left after a collection of its garbage; it must have been started with `tellsMemory`. */
  kept(): Promise<Kept> {
    return keptBy(this.pid, this.#memory)
  }

  /** The same in megabytes, as the system counts it. */
  async residentMegabytes(): Promise<number> {
    return (await this.kept()).resident / 2 ** 20
  }

  /** Whether the process runs. */
  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Starts it, and returns the milliseconds until it answered. */
  async start(options: StartOptions = {}): Promise<number> {
    const from = performance.now()
    this.launch(options)
    const until = from + startMillis
    while (!(await answers(this.port))) {
      if (!this.isRunning) throw new Error(`The server ended before it answered: ${this.log.slice(-2_000)}`)
      if (performance.now() > until) throw new Error(`The server did not answer in time: ${this.log.slice(-2_000)}`)
      await sleep(5)
    }
    return performance.now() - from
  }

  /** Starts it and does not wait. */
  launch({ env = {}, flags = [], main = builtMain, tellsMemory = false, wrapper = [] }: StartOptions = {}): void {
    const log = fs.openSync(this.#log, "a")
    const own = this.#spawned === undefined
      ? [process.execPath, main, "server", "run", `--port=${this.port}`, `--data-dir=${this.directory}`, ...flags]
      : [
        "sh",
        "-c",
        `exec ${this.#spawned.replaceAll("{port}", String(this.port)).replaceAll("{dir}", this.directory)}`
      ]
    const [command, ...args] = [...wrapper, ...own]
    const child = spawn(command!, args, {
      stdio: ["ignore", log, log],
      env: { ...process.env, ...(tellsMemory ? tells(this.#memory) : {}), ...env }
    })
    fs.closeSync(log)
    this.#child = child
    this.#ended = new Promise((resolve) => {
      child.on("error", () => resolve(null))
      child.on("exit", (code) => resolve(code))
    })
    running.add(child)
    child.on("exit", () => running.delete(child))
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Waits until it has ended; returns its exit code, or null if a signal ended it. */
  ended(): Promise<number | null> {
    return this.#ended ?? Promise.resolve(null)
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL")
    await this.ended()
  }
}

/** Starts our server on a free port, with its data in the directory `data` of this one. */
export const startServer = async (directory: string, ...flags: ReadonlyArray<string>): Promise<ServerProcess> => {
  const server = await ServerProcess.make(directory)
  await server.start({ flags, tellsMemory: true })
  return server
}

/** Whether a server answers HTTP on this port. */
const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.setTimeout(2_000, () => socket.destroy())
    socket.on("connect", () => socket.write("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"))
    socket.on("data", () => {
      resolve(true)
      socket.destroy()
    })
    socket.on("error", () => {})
    socket.on("close", () => resolve(false))
  })

const running = new Set<ChildProcess>()
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})
