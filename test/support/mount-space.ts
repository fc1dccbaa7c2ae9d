/**
 * A mount namespace of our own: other processes do not see its mounts, and it ends with the process that holds it.
 * Needs root.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"

export class MountSpace {
  readonly #holder: ChildProcess

  private constructor(holder: ChildProcess) {
    this.#holder = holder
  }

  /** Returns the reason if this machine permits none. */
  static async make(): Promise<MountSpace | string> {
    const holder = spawn("unshare", ["-m", "--propagation", "private", "sh", "-c", "echo; exec sleep 86400"], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    const said = await Promise.race([
      once(holder.stdout, "data").then(() => undefined),
      once(holder, "exit").then(() => "CAP_SYS_ADMIN, to have a mount namespace"),
      once(holder, "error").then(() => "unshare(1)")
    ])
    if (said !== undefined) return said
    process.on("exit", () => holder.kill("SIGKILL"))
    return new MountSpace(holder)
  }

  /** The words in front of a command that is to see these mounts. */
  get wrapper(): ReadonlyArray<string> {
    return ["nsenter", `--mount=/proc/${this.#holder.pid}/ns/mnt`, "--"]
  }

  /** The path by which a process outside can open a path of this namespace. */
  outside(path: string): string {
    return `/proc/${this.#holder.pid}/root${path}`
  }

  /** Runs a command to its end and returns its stdout. Throws if the command fails. */
  run(command: string, ...args: ReadonlyArray<string>): string {
    const [enter, ...rest] = this.wrapper
    return execFileSync(enter!, [...rest, command, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 60_000
    })
  }

  close(): void {
    this.#holder.kill("SIGKILL")
  }
}
