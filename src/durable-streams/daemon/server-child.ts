/**
 * A server as a detached child of this process: starting it, and asking for its end and its place.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { giveToOwner } from "../../data-directory/data-directory.ts"
import { filesOf } from "../../data-directory/paths.ts"
import type { Place } from "./daemon-files.ts"

/** A log larger than this is set aside when a daemon starts. */
const logBytesMax = 10 * 1024 * 1024

interface ServerChild {
  /** Undefined while it runs. */
  readonly exitCode: () => number | undefined
  /** Where it is; a server that cannot write its files says it here (run-server.ts). */
  readonly place: () => Place | undefined
}

/** Starts a server with these arguments (given-settings.ts); it writes into the directory's log. Throws when it cannot. */
export const spawnServer = (dataDirectory: string, settingArguments: ReadonlyArray<string>): ServerChild => {
  const files = filesOf(dataDirectory)
  if ((fs.lstatSync(files.log, { throwIfNoEntry: false })?.size ?? 0) > logBytesMax) {
    fs.renameSync(files.log, files.oldLog)
  }
  const log = openLog(files.log)
  const child = spawn(process.execPath, [
    // Under a loader such as tsx, the daemon runs as this process does.
    ...process.execArgv,
    process.argv[1]!,
    "server",
    "run",
    "--daemon",
    ...settingArguments
  ], { detached: true, stdio: ["ignore", log, log, "ipc"] })
  let exitCode: number | undefined
  let place: Place | undefined
  child.on("error", () => exitCode = 1)
  child.on("exit", (code) => exitCode = code ?? 1)
  child.on("message", (message) => place = message as unknown as Place)
  child.unref()
  child.channel?.unref()
  fs.closeSync(log)
  return { exitCode: () => exitCode, place: () => place }
}

/** Opens the log. Throws for a link, which leads elsewhere, and for a pipe, instead of waiting for its reader. */
const openLog = (path: string): number => {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = fs.constants
  const log = fs.openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
  giveToOwner(path)
  const stats = fs.fstatSync(log)
  // A second name of the file would be written to as well.
  if (stats.isFile() && stats.nlink === 1) return log
  fs.closeSync(log)
  throw new Error(`${path} is no file of its own`)
}
