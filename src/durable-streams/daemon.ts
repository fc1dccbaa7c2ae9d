/**
 * The server as another process: find it, start it when it is not there, stop it.
 *
 * What the files say is only believed when `/health` says the same (promise 9): a process id may belong to a stranger by
 * now, and so may a port.
 */
import { Effect, type Scope } from "effect"
import type { HttpClient } from "effect/http/HttpClient"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { isIP, isIPv6 } from "node:net"
import { makeClient } from "./client.ts"
import { makeDataDirectory, readDigits, readText } from "./data-directory.ts"
import { limitFlags } from "./limit-settings.ts"
import { lockState, tryLock } from "./lock.ts"
import type { ServerSettings } from "./settings.ts"
import { DaemonFailed, filesOf } from "./settings.ts"
import type { Health } from "./wire.ts"

/** A server of ours that answers. */
export interface Found {
  readonly url: string
  readonly port: number
  readonly health: Health
}

/** A local server answers within milliseconds; a busy one within this time. */
const healthTimeout = "2 seconds"

/** A cold start takes about a second; where twenty commands start at once on two busy cores, it was seen to take 17. */
const startTimeout = "40 seconds"

/** A stop ends within two seconds by design; the rest is for a slow disk. */
const stopTimeout = "10 seconds"

/** Often enough that nobody notices the wait, seldom enough that it costs nothing. */
const pollEvery = "25 millis"

/** A log larger than this is set aside when a daemon starts. */
const logBytesMax = 10 * 1024 * 1024

/** The running server of a data directory; undefined when there is none. */
export const find = Effect.fnUntraced(function*(dataDirectory: string) {
  const files = filesOf(dataDirectory)
  const pid = readNumber(files.pid)
  const port = readNumber(files.port)
  if (pid === undefined || port === undefined || port > 65535) return undefined
  const host = readText(files.host)
  const url = `http://${
    host === undefined || isIP(host) === 0 ? "127.0.0.1" : isIPv6(host) ? `[${host}]` : host
  }:${port}`
  const health = yield* makeClient(url).health.pipe(
    Effect.timeout(healthTimeout),
    Effect.orElseSucceed(() => undefined)
  )
  const ours = health !== undefined && health.pid === pid && health.dataDirectory === realPath(dataDirectory)
  return ours ? { url, port, health } satisfies Found : undefined
})

/** Finds the server of the settings' data directory, or starts one; says which. */
export const findOrStart = Effect.fnUntraced(function*(settings: ServerSettings) {
  const found = yield* find(settings.dataDirectory)
  if (found !== undefined) return { ...found, started: false }
  yield* makeDataDirectory(settings.dataDirectory)
  return yield* Effect.scoped(Effect.gen(function*() {
    const other = yield* takeTurn(settings.dataDirectory)
    if (other !== undefined) return { ...other, started: false }
    return { ...(yield* start(settings)), started: true }
  })).pipe(
    Effect.timeoutOrElse({
      duration: startTimeout,
      orElse: () =>
        Effect.fail(
          new DaemonFailed({
            message: `The server did not answer in ${startTimeout}. Its log is ${filesOf(settings.dataDirectory).log}`
          })
        )
    })
  )
})

/** Asks the server to stop and waits until it is gone; undefined when there was none. */
export const stop = Effect.fnUntraced(function*(dataDirectory: string) {
  const found = yield* find(dataDirectory)
  if (found === undefined) return undefined
  const { pid } = found.health
  yield* Effect.try({
    try: () => process.kill(pid, "SIGTERM"),
    catch: (cause) =>
      new DaemonFailed({ message: `Could not stop the server (pid ${pid}): ${(cause as Error).message}.` })
  })
  yield* Effect.sleep(pollEvery).pipe(
    Effect.andThen(isGone(dataDirectory, pid)),
    Effect.repeat({ until: (gone) => gone }),
    Effect.timeoutOrElse({
      duration: stopTimeout,
      orElse: () =>
        Effect.fail(
          new DaemonFailed({
            message: `The server (pid ${pid}) is still there after ${stopTimeout}. End it with: kill -9 ${pid}`
          })
        )
    })
  )
  return found
})

/** Whether a server that was told to stop has left the data directory to the next one. */
const isGone = Effect.fnUntraced(function*(dataDirectory: string, pid: number) {
  const files = filesOf(dataDirectory)
  const named = readNumber(files.pid)
  if (named !== undefined && named !== pid) return true
  if (!isAlive(pid)) return true
  // A process that nobody waited for looks alive; its lock was freed all the same.
  return named === undefined &&
    (yield* Effect.scoped(tryLock(files.lock)).pipe(Effect.orElseSucceed(() => true)))
})

/** Holds the right to start a daemon here, unless a server turns up while waiting for it. */
const takeTurn = (dataDirectory: string): Effect.Effect<Found | undefined, DaemonFailed, HttpClient | Scope.Scope> =>
  Effect.gen(function*() {
    while (!(yield* tryLock(filesOf(dataDirectory).startLock))) {
      const found = yield* find(dataDirectory)
      if (found !== undefined) return found
      yield* Effect.sleep(pollEvery)
    }
    return yield* find(dataDirectory)
  })

/** Starts a detached server and waits until it answers, or until another one does that was faster. */
const start = Effect.fnUntraced(function*(settings: ServerSettings) {
  const { dataDirectory } = settings
  const files = filesOf(dataDirectory)
  const launched = Effect.try({
    try: () => launch(settings),
    catch: (cause) => new DaemonFailed({ message: `Could not start a server: ${(cause as Error).message}.` })
  })
  let child = yield* launched
  while (true) {
    const found = yield* find(dataDirectory)
    if (found !== undefined) return found
    const ended = child.ended()
    if (ended !== undefined && ended !== lockedExit) {
      return yield* new DaemonFailed({ message: `The server could not start: ${lastLine(files.log)}` })
    }
    // The other server that kept ours from starting will answer, unless it was stopping: then it is our turn again.
    if (ended === lockedExit && (yield* lockState(files.lock)) === "free") child = yield* launched
    yield* Effect.sleep(pollEvery)
  }
})

/** The exit code of a server that found the data directory in use. */
const lockedExit = 5

const launch = (settings: ServerSettings) => {
  const {
    allowHosts = [],
    bodyBytesMax,
    corsOrigins,
    dataDirectory,
    durability,
    host,
    limits,
    longPollMillis,
    port,
    storage
  } = settings
  const files = filesOf(dataDirectory)
  if ((fs.statSync(files.log, { throwIfNoEntry: false })?.size ?? 0) > logBytesMax) {
    fs.renameSync(files.log, files.oldLog)
  }
  const log = fs.openSync(files.log, "a", 0o600)
  const child = spawn(process.execPath, [
    // Under a loader such as tsx, the daemon runs as this process does.
    ...process.execArgv,
    process.argv[1]!,
    "server",
    "run",
    "--daemon",
    `--data-dir=${dataDirectory}`,
    `--storage=${storage}`,
    `--durability=${durability}`,
    ...limitFlags({ ...limits, bodyBytesMax }),
    `--host=${host}`,
    `--cors-origin=${corsOrigins.join(",")}`,
    `--allow-host=${allowHosts.join(",")}`,
    `--long-poll-timeout=${longPollMillis}ms`,
    ...(port === undefined ? [] : [`--port=${port}`])
  ], { detached: true, stdio: ["ignore", log, log] })
  let ended: number | undefined
  child.on("error", () => ended = 1)
  child.on("exit", (code) => ended = code ?? 1)
  child.unref()
  fs.closeSync(log)
  return { ended: () => ended }
}

const realPath = (path: string): string => {
  try {
    return fs.realpathSync(path)
  } catch {
    return path
  }
}

const readNumber = (path: string): number | undefined => {
  const digits = readDigits(path)
  return digits === undefined ? undefined : Number(digits)
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const lastLine = (path: string): string => {
  let line = ""
  try {
    line = fs.readFileSync(path, "utf8").trim().split("\n").at(-1) ?? ""
    return (JSON.parse(line) as { readonly message: string }).message
  } catch {
    // What Node itself says is not JSON.
    return line === "" ? `see ${path}` : `${line} (${path})`
  }
}
