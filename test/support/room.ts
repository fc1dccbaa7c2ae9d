/**
 * Runs the program as people do: as processes, each test in a folder of its own, which is removed when the test is
 * over. Processes that still run then are ended by their process ids, and only if they belong to that folder.
 */
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { test } from "vitest"
import { build, builtMain, root } from "./built.ts"

build()

/** How a process ended. */
export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly cwd?: string
  /** Added to the room's environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Nothing but `env`, instead of added to it. */
  readonly bare?: boolean
  /** All of stdin; without it, stdin is /dev/null. "open" leaves stdin to `write` and `endInput`. */
  readonly input?: string | Uint8Array
}

/** A test with a room of its own. */
export const it = test.extend("room", async ({ task: _ }, { onCleanup }) => {
  const room = new Room()
  onCleanup(() => room.close())
  return room
})

/** A running process, and its output so far. */
export class Running {
  readonly pid: number
  stdout = ""
  stderr = ""
  readonly ended: Promise<Ran>
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    this.pid = child.pid ?? 0
    child.stdout?.setEncoding("utf8").on("data", (text: string) => this.stdout += text)
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.stderr += text)
    // A process may stop reading stdin; the test sees that by its exit.
    child.stdin?.on("error", () => {})
    this.ended = new Promise((resolve, reject) => {
      child.on("error", reject)
      child.on("close", (code, signal) => resolve({ code, signal, stdout: this.stdout, stderr: this.stderr }))
    })
    this.ended.catch(() => {})
  }

  /** The whole lines on stdout so far. */
  get lines(): ReadonlyArray<string> {
    return this.stdout.split("\n").slice(0, -1)
  }

  write(text: string | Uint8Array): void {
    this.#child.stdin!.write(text)
  }

  endInput(): void {
    this.#child.stdin!.end()
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Waits for this many lines on stdout. */
  async line(count: number): Promise<ReadonlyArray<string>> {
    await until(() => this.lines.length >= count, () => `${count} lines on stdout; ${this.stdout}${this.stderr}`)
    return this.lines
  }

  /** Waits for a text on stderr. */
  async told(text: string): Promise<void> {
    await until(() => this.stderr.includes(text), () => `${JSON.stringify(text)} on stderr; it holds: ${this.stderr}`)
  }
}

export class Room {
  readonly directory = fs.realpathSync(fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-")))
  readonly dataDirectory = Path.join(this.directory, ".iterate")
  readonly environment: NodeJS.ProcessEnv = environment
  readonly #children: Array<Running> = []

  /** Runs the command line to its end. */
  ds(args: ReadonlyArray<string>, options: Options = {}): Promise<Ran> {
    return this.start(args, options).ended
  }

  /** Starts the command line. */
  start(args: ReadonlyArray<string>, options: Options = {}): Running {
    return this.spawn(process.execPath, [builtMain, ...args], options)
  }

  /** Runs a line of shell, in which `durable-streams` is a command. */
  sh(script: string, options: Options = {}): Running {
    return this.spawn(
      "bash",
      ["-c", `durable-streams() { "${process.execPath}" "${builtMain}" "$@"; }\n${script}`],
      options
    )
  }

  /** Runs the command line on a terminal: stdout is the terminal's text, stderr included. */
  onTerminal(command: string, env: Options["env"] = {}): Promise<Ran> {
    return this.spawn("script", ["-qec", `'${process.execPath}' '${builtMain}' ${command}`, "/dev/null"], {
      // Node uses no colours on a machine that says it runs tests (CI).
      env: { TERM: "xterm-256color", CI: undefined, ...env }
    }).ended
  }

  spawn(command: string, args: ReadonlyArray<string>, { bare = false, cwd, env = {}, input }: Options = {}): Running {
    const settings: SpawnOptions = {
      cwd: cwd ?? this.directory,
      env: bare ? env : { ...environment, ...env },
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"]
    }
    const running = new Running(spawn(command, args, settings))
    this.#children.push(running)
    if (input !== undefined && input !== "open") {
      running.write(input)
      running.endInput()
    }
    return running
  }

  /** Makes the folder look like a clone of the repository, for commands that are written for one. */
  makeRepository(): void {
    for (const name of ["src", "node_modules", "package.json"]) {
      fs.symlinkSync(Path.join(root, name), Path.join(this.directory, name))
    }
  }

  /** The text of a small file of the data directory; undefined if there is no such file. */
  read(name: string): string | undefined {
    try {
      return fs.readFileSync(Path.join(this.dataDirectory, name), "utf8").trim()
    } catch {
      return undefined
    }
  }

  /** Writes a file into the data directory, and makes the directory if need be. */
  write(name: string, text: string): void {
    fs.mkdirSync(this.dataDirectory, { recursive: true })
    fs.writeFileSync(Path.join(this.dataDirectory, name), text)
  }

  /** The daemon's URL, as its file gives it. */
  get url(): string {
    return `http://127.0.0.1:${this.read("daemon.port")}`
  }

  get pid(): number {
    return Number(this.read("daemon.pid"))
  }

  /** The processes whose folder this is, whichever program started them. */
  processes(): ReadonlyArray<number> {
    return fs.readdirSync("/proc").map(Number).filter((pid) => pid > 0 && pid !== process.pid && this.#owns(pid))
  }

  /** The servers that have one of this folder's data directories. */
  servers(): ReadonlyArray<number> {
    return this.processes().filter((pid) => commandOf(pid).includes("server run"))
  }

  async close(): Promise<void> {
    await until(() => {
      const left = this.processes()
      for (const pid of left) kill(pid)
      return left.length === 0
    }, () => `the end of ${this.processes().map(commandOf).join("; ")}`)
    await Promise.allSettled(this.#children.map(({ ended }) => ended))
    fs.rmSync(this.directory, { recursive: true, force: true })
  }

  #owns(pid: number): boolean {
    if (commandOf(pid) === "") return false
    if (commandOf(pid).includes(this.directory)) return true
    try {
      const cwd = fs.readlinkSync(`/proc/${pid}/cwd`)
      return cwd === this.directory || cwd.startsWith(`${this.directory}/`)
    } catch {
      return false
    }
  }
}

/** Waits until this is so: looks often, and gives up after a time that no healthy machine needs. */
export const until = async (isSo: () => boolean | Promise<boolean>, what: () => string, millis = 15_000) => {
  const end = Date.now() + millis
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`Waited ${millis} ms in vain for ${what()}`)
    await sleep(20)
  }
}

export const isAlive = (pid: number): boolean => commandOf(pid) !== ""

/** The `data` of printed events. */
export const dataOf = (lines: ReadonlyArray<string>): ReadonlyArray<unknown> =>
  lines.map((line) => (JSON.parse(line) as { readonly data: unknown }).data)

/** The offsets of printed events. */
export const offsetsOf = (lines: ReadonlyArray<string>): ReadonlyArray<number> =>
  lines.map((line) => Number((JSON.parse(line) as { readonly offset: string }).offset))

export const linesOf = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")

/** The command of a process; empty if it has ended, or only waits for its parent to notice. */
const commandOf = (pid: number): string => {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim()
  } catch {
    return ""
  }
}

const kill = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // The process has just ended by itself.
  }
}

/**
 * The tests' own environment without the variables that would change the program's behaviour; Node may keep its
 * compiled code. Every server takes a free port: on port 3000, one test's server would be a stranger to another test.
 */
const environment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) =>
      !/^(?:DURABLE_STREAMS_|VITEST|NODE_|npm_|NO_COLOR$|FORCE_COLOR$|TEST$)/.test(name)
    )
  ),
  DURABLE_STREAMS_PORT: "0",
  PATH: `${Path.dirname(process.execPath)}:${process.env["PATH"]}`,
  NODE_COMPILE_CACHE: Path.join(os.tmpdir(), `durable-streams-compiled-${process.getuid?.() ?? 0}`)
}
