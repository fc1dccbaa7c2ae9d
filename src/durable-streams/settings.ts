/**
 * What a server needs to know before it starts, and where its files are.
 */
import { Data } from "effect"
import * as Path from "node:path"
import type { Limits } from "./limits.ts"
import { defaultLimits } from "./limits.ts"

export interface ServerSettings {
  readonly host: string
  /** Undefined: 3000, or a free one where that is taken. */
  readonly port: number | undefined
  /** Absolute path. */
  readonly dataDirectory: string
  readonly storage: "fs" | "memory"
  readonly durability: "fsync" | "os"
  /** The largest request body, in bytes. */
  readonly bodyBytesMax: number
  /** How much it takes on besides; what is left out has its default. */
  readonly limits?: Partial<Omit<Limits, "bodyBytesMax">>
  /** Origins whose pages may use the server, besides those of this machine; `*` is all of them. */
  readonly corsOrigins: ReadonlyArray<string>
  /** Names it answers to besides its addresses and localhost, in small letters; `*` is all of them. */
  readonly allowHosts?: ReadonlyArray<string>
  /** How long a long-poll waits for news, in milliseconds. */
  readonly longPollMillis: number
}

export const defaults = {
  host: "127.0.0.1",
  port: 3000,
  dataDirectory: ".iterate",
  storage: "fs",
  durability: "fsync",
  bodyBytesMax: defaultLimits.bodyBytesMax,
  corsOrigins: [] as ReadonlyArray<string>,
  allowHosts: [] as ReadonlyArray<string>,
  // Below the minute after which proxies give up on a silent answer.
  longPollMillis: 30_000
} as const

/**
 * An origin as browsers write it (RFC 6454 6.1), or `*`; undefined when the text is none. No patterns: an origin is let in
 * as a whole.
 */
export const toOrigin = (text: string): string | undefined => {
  if (text === "*") return text
  const origin = /^https?:\/\/[^\s/?#@\\]+$/i.test(text) && URL.canParse(text)
    ? new URL(text).origin
    : text.toLowerCase()
  return /^[a-z][a-z0-9+.-]*:\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.test(origin) ? origin : undefined
}

/** A name that requests may come by, without a port, or `*`; undefined when the text is none. */
export const toAllowedHost = (text: string): string | undefined => {
  const name = text.toLowerCase()
  return name === "*" || /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})$/.test(name) ? name : undefined
}

/** The absolute path of a data directory as a person names it; as it is named when there is no current directory. */
export const resolveDirectory = (directory: string): string => {
  try {
    return Path.resolve(directory)
  } catch {
    return directory
  }
}

/** Fails for a path that needs a current directory when there is none: a command that uses no directory never asks. */
export const requireAbsolute = (directory: string): void => {
  if (Path.isAbsolute(resolveDirectory(directory))) return
  throw new DaemonFailed({ message: "The current directory is not there any more. Change to one that is." })
}

/** A path as one word of a shell. */
export const quoted = (path: string): string => /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`

/** The files of a data directory (docs/storage-format.md 1). */
export const filesOf = (dataDirectory: string) => ({
  streams: Path.join(dataDirectory, "streams"),
  keys: Path.join(dataDirectory, "keys"),
  lock: Path.join(dataDirectory, "lock"),
  startLock: Path.join(dataDirectory, "start.lock"),
  pid: Path.join(dataDirectory, "daemon.pid"),
  port: Path.join(dataDirectory, "daemon.port"),
  /** Only where the server does not listen on 127.0.0.1: the address it listens on. */
  host: Path.join(dataDirectory, "daemon.host"),
  /** What the server of this start proves itself with. */
  secret: Path.join(dataDirectory, "daemon.secret"),
  /** A directory in which the files above lie while no server runs: their room is theirs, also when the disk is full. */
  reserve: Path.join(dataDirectory, "reserve"),
  log: Path.join(dataDirectory, "daemon.log"),
  oldLog: Path.join(dataDirectory, "daemon.log.1")
})

/** A data directory cannot be used, or a daemon could not be started or stopped: `message` says why and what to do. */
export class DaemonFailed extends Data.TaggedError("DaemonFailed")<{ readonly message: string }> {}

/** Another server holds the data directory's lock (promise 9). */
export class DataDirectoryInUse extends Data.TaggedError("DataDirectoryInUse")<{
  readonly dataDirectory: string
  /** What the other server says of itself; undefined where it says nothing. */
  readonly pid: string | undefined
  readonly port: string | undefined
}> {
  override get message() {
    const port = this.port === undefined ? "" : `, port ${this.port}`
    const holder = this.pid === undefined ? "" : ` (pid ${this.pid}${port})`
    return `Another server${holder} is using ${this.dataDirectory}. ` +
      "Stop it with: server stop, or choose another directory with --data-dir."
  }
}

/** The directory was renamed or moved while its server runs. */
export class DataDirectoryMoved extends Data.TaggedError("DataDirectoryMoved")<{
  readonly dataDirectory: string
  readonly pid: number
  /** Its path when the server started. */
  readonly before: string
}> {
  override get message() {
    return `The server of ${this.dataDirectory} (pid ${this.pid}) started when that was ${this.before}. ` +
      "Stop it with: server stop. The next command starts one here."
  }
}

/** A process holds the directory's lock and cannot be asked. */
export class ServerSilent extends Data.TaggedError("ServerSilent")<{
  readonly dataDirectory: string
  readonly pid: number | undefined
}> {
  override get message() {
    const holder = this.pid === undefined ? "A process that this one cannot see" : `A process (pid ${this.pid})`
    const end = this.pid === undefined ? "End it where it runs" : `If it does not end by itself: kill ${this.pid}`
    return `${holder} uses ${this.dataDirectory} and does not answer as its server. ${end}; ` +
      `see ${Path.join(this.dataDirectory, "daemon.log")}.`
  }
}
