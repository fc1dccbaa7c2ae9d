/**
 * The server under test as a process, which can be killed and started again on the port it had. It is ours, or with
 * `PROTOCOL_TARGET=reference` the reference server: a test that fails there too is wrong itself.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { ServerProcess } from "./server-process.ts"

const isReference = process.env["PROTOCOL_TARGET"] === "reference"

/** How long a long-poll of the servers under test waits: as short as the suite's own pauses allow. */
export const longPollMillis = 1_000

export class Target {
  readonly #directory: string
  readonly #server: ServerProcess
  readonly #flags: ReadonlyArray<string>
  #restart: Promise<void> | undefined

  private constructor(directory: string, server: ServerProcess, flags: ReadonlyArray<string>) {
    this.#directory = directory
    this.#server = server
    this.#flags = flags
  }

  /** Starts a server in a directory of its own, with its default settings except for these flags. */
  static async start(storage: "memory" | "fs", ...flags: ReadonlyArray<string>): Promise<Target> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "durable-streams-protocol-"))
    const server = await ServerProcess.make(directory, isReference ? referenceServer(storage) : undefined)
    const ours = [`--long-poll-timeout=${longPollMillis / 1_000}s`, `--storage=${storage}`, ...flags]
    const target = new Target(directory, server, ours)
    await server.start({ flags: ours })
    return target
  }

  get port(): number {
    return this.#server.port
  }

  /** `http://127.0.0.1:<port>`. */
  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The URL of a stream. */
  url(name: string): string {
    return `${this.origin}/v1/stream/${name}`
  }

  /** Kills it with SIGKILL at any moment, and starts it again on the same port; returns when it listens. */
  crash(): Promise<void> {
    const restart = async () => {
      await this.#server.kill()
      await this.#server.start({ flags: this.#flags })
    }
    this.#restart = (this.#restart ?? Promise.resolve()).then(restart)
    return this.#restart
  }

  /** Resolves when no restart is under way. */
  running(): Promise<void> {
    return this.#restart ?? Promise.resolve()
  }

  /** Ends it and removes its directory. */
  async stop(): Promise<void> {
    await this.#server.kill()
    fs.rmSync(this.#directory, { recursive: true, force: true })
  }
}

const referenceServer = (storage: "memory" | "fs"): string =>
  `${process.execPath} ${path.join(import.meta.dirname, "../bench/reference-server.ts")} --port={port} ` +
  `--long-poll-timeout=${longPollMillis}${storage === "fs" ? " --data-dir={dir}" : ""}`
