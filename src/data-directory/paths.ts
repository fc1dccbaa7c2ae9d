/**
 * The paths of the files in a data directory, and the errors of a command that cannot use one.
 */
import { Data, Runtime } from "effect"
import * as Path from "node:path"
import { exitCodes } from "../domain/exit-codes.ts"

/** The data directory of a command that names none, in its working directory. */
export const defaultDirectory = ".iterate"

/** The absolute path of a data directory as a person names it; unchanged if there is no current directory. */
export const resolveDirectory = (directory: string): string => {
  try {
    return Path.resolve(directory)
  } catch {
    return directory
  }
}

/** Throws if the path needs a current directory and there is none. A command that uses no directory does not call it. */
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
  /** The address that the server listens on, if 127.0.0.1 does not reach it. */
  host: Path.join(dataDirectory, "daemon.host"),
  /** The secret by which the server of this start proves itself. */
  secret: Path.join(dataDirectory, "daemon.secret"),
  /** A directory that holds the files above while no server runs: they keep their room, even on a full disk. */
  reserve: Path.join(dataDirectory, "reserve"),
  log: Path.join(dataDirectory, "daemon.log"),
  oldLog: Path.join(dataDirectory, "daemon.log.1")
})

/** A data directory cannot be used, or a daemon could not be started or stopped: `message` gives the reason and the next step. */
export class DaemonFailed extends Data.TaggedError("DaemonFailed")<{ readonly message: string }> {}

/** Another server holds the data directory's lock (promise 9). */
export class DataDirectoryInUse extends Data.TaggedError("DataDirectoryInUse")<{
  readonly dataDirectory: string
  /** As the other server's files say; undefined if they do not. */
  readonly pid: string | undefined
  readonly port: string | undefined
}> {
  override readonly [Runtime.errorExitCode] = exitCodes.conflict

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
  /** The directory's path when the server started. */
  readonly before: string
}> {
  override readonly [Runtime.errorExitCode] = exitCodes.conflict

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
  override readonly [Runtime.errorExitCode] = exitCodes.conflict

  override get message() {
    const holder = this.pid === undefined ? "A process that this one cannot see" : `A process (pid ${this.pid})`
    const end = this.pid === undefined ? "End it where it runs" : `If it does not end by itself: kill ${this.pid}`
    return `${holder} uses ${this.dataDirectory} and does not answer as its server. ${end}; ` +
      `see ${Path.join(this.dataDirectory, "daemon.log")}.`
  }
}
