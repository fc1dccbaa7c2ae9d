/**
 * The server under test as a process, which can be killed and started again on the port it had. It is ours, or with
 * `PROTOCOL_TARGET=reference` the reference server: what fails there too is the fault of the test.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { kill, startServer } from "./server-process.ts"

const isReference = process.env["PROTOCOL_TARGET"] === "reference"

/** How long a long-poll of the servers under test waits: as short as the suite's own pauses allow. */
export const longPollMillis = 1_000

export class Target {
  readonly #directory = fs.mkdtempSync(path.join(os.tmpdir(), "durable-streams-protocol-"))
  readonly #storage: "memory" | "fs"
  readonly #options: ReadonlyArray<string>
  #running: Running | undefined
  #restart: Promise<void> | undefined

  private constructor(storage: "memory" | "fs", options: ReadonlyArray<string>) {
    this.#storage = storage
    this.#options = options
  }

  /** Starts a server in a directory of its own, with its default settings but for those given. */
  static async start(storage: "memory" | "fs", ...options: ReadonlyArray<string>): Promise<Target> {
    const target = new Target(storage, options)
    target.#running = await target.#start(0)
    return target
  }

  get port(): number {
    return this.#running!.port
  }

  /** `http://127.0.0.1:<port>`. */
  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The URL of a stream. */
  url(name: string): string {
    return `${this.origin}/v1/stream/${name}`
  }

  /** Kills it with SIGKILL, whatever it does, and starts it again on the same port; returns when it listens. */
  crash(): Promise<void> {
    const restart = async () => {
      const { port } = this
      await this.#running!.kill()
      this.#running = await this.#start(port)
    }
    this.#restart = (this.#restart ?? Promise.resolve()).then(restart)
    return this.#restart
  }

  /** Resolves when no restart is under way. */
  running(): Promise<void> {
    return this.#restart ?? Promise.resolve()
  }

  /** Ends it and takes its directory away. */
  async stop(): Promise<void> {
    await this.#running?.kill()
    fs.rmSync(this.#directory, { recursive: true, force: true })
  }

  #start(port: number): Promise<Running> {
    return isReference
      ? startReference(port, this.#storage === "fs" ? this.#directory : undefined)
      : startOurs(this.#directory, [`--port=${port}`, `--storage=${this.#storage}`, ...this.#options])
  }
}

interface Running {
  readonly port: number
  readonly kill: () => Promise<void>
}

const startOurs = async (directory: string, options: ReadonlyArray<string>): Promise<Running> => {
  const server = await startServer(directory, `--long-poll-timeout=${longPollMillis / 1_000}s`, ...options)
  return { port: server.port, kill: () => kill(server) }
}

const startReference = async (port: number, directory: string | undefined): Promise<Running> => {
  const child = spawn(
    process.execPath,
    [
      path.join(import.meta.dirname, "../bench/reference-server.ts"),
      `--port=${port}`,
      `--long-poll-timeout=${longPollMillis}`,
      ...(directory === undefined ? [] : [`--data-dir=${directory}`])
    ],
    { stdio: ["ignore", "ignore", "pipe"] }
  )
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const listening = new Promise<number>((resolve, reject) => {
    const log = createInterface({ input: child.stderr })
    log.on("line", (line) => {
      const named = /^http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
      if (named !== undefined) resolve(Number(named))
    })
    log.once("close", () => reject(new Error("The reference server ended before it listened.")))
  })
  return {
    port: await listening,
    kill: async () => {
      child.kill("SIGKILL")
      await ended
    }
  }
}
