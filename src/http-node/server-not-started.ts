/**
 * The error of a server that could not listen; its message says the reason.
 */
import { Data } from "effect"

export class ServerNotStarted extends Data.TaggedError("ServerNotStarted")<{
  readonly host: string
  readonly port: number
  /** The errno name, such as `EADDRINUSE`. */
  readonly code: string
  readonly cause: unknown
}> {
  override get message() {
    const where = `${this.host}:${this.port}`
    if (this.code === "EADDRINUSE") {
      return `Port ${this.port} on ${this.host} is taken by another program. Choose one with --port, or leave it out.`
    }
    if (this.code === "EACCES") return `This user may not listen on ${where}. Choose a port above 1023 with --port.`
    if (this.code === "ENOTFOUND" || this.code === "EAI_AGAIN") {
      return `There is no address for the name ${JSON.stringify(this.host)}. Choose one of this machine with --host.`
    }
    return `Could not listen on ${where} (${this.code}). Check --host and --port.`
  }
}
