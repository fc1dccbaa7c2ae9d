/**
 * The server as another process: find it, start it when it is not there, stop it.
 *
 * What the files say is only believed of a server that proves itself (daemon-secret.ts, promise 9): a process id may belong to a
 * stranger by now, and so may a port.
 */
import { Effect, Schema, type Scope } from "effect"
import type { HttpClient } from "effect/http/HttpClient"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { isIP, isIPv6 } from "node:net"
import { networkInterfaces } from "node:os"
import { Health } from "../api/wire.ts"
import { makeClient } from "../client/client.ts"
import { giveToOwner, makeDataDirectory, readDigits } from "../data-directory/data-directory.ts"
import { holderOf, lockState, tryLock } from "../data-directory/lock.ts"
import { DaemonFailed, DataDirectoryMoved, filesOf, ServerSilent } from "../data-directory/paths.ts"
import { type DataDirectoryNotTrusted, refuseForeign } from "../data-directory/trusted-directory.ts"
import type { Place } from "./daemon/daemon-files.ts"
import { readPlace } from "./daemon/daemon-files.ts"
import { isSame, makeChallenge, proofOf } from "./daemon/daemon-secret.ts"
import { identityOf } from "./daemon/process-identity.ts"
import { argumentsOf } from "./server/given-settings.ts"
import type { SettingsAt } from "./server/settings.ts"
import { CurrentSettings } from "./server/settings.ts"

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

/** The running server of a data directory; undefined when there is none that proves it. Fails when it is of another path. */
export const find = Effect.fnUntraced(function*(dataDirectory: string) {
  const found = yield* findProven(dataDirectory)
  if (found === undefined || isSameDirectory(found.health.dataDirectory, dataDirectory)) return found
  const { dataDirectory: before, pid, process: identity } = found.health
  // A container may know the directory by another path; only here does that mean that it was renamed.
  if (identity !== identityOf(pid)) return found
  return yield* new DataDirectoryMoved({ dataDirectory, pid, before })
})

/**
 * The server that knows the secret in the directory and holds its lock, also when that had another path when it started. A
 * secret can have come with the directory, from a copy or from somebody else; the lock is the kernel's word.
 */
const findProven = Effect.fnUntraced(function*(dataDirectory: string) {
  yield* refuseForeign(dataDirectory)
  const place = readPlace(dataDirectory)
  if (place === undefined) return undefined
  if (place.secret === undefined && !(yield* holdsLock(dataDirectory, place.pid))) return undefined
  const found = yield* ask(place)
  return found !== undefined && (yield* isLockedBy(found, dataDirectory)) ? found : undefined
})

/** Whether that server holds the lock; of one in a container, which has another number here, whether anybody does. */
const isLockedBy = ({ health: { pid, process: identity } }: Found, dataDirectory: string) =>
  Effect.suspend(() => {
    const { lock } = filesOf(dataDirectory)
    // Asked of the kernel's list first: taking the lock would load SQLite into every command.
    const holder = holderOf(lock)
    if (holder !== undefined && (holder === pid || identity === identityOf(pid))) return Effect.succeed(holder === pid)
    return Effect.map(lockState(lock), (state) => state === "held")
  })

/** Whether two paths lead to one directory: by links, or mounted at two places. */
const isSameDirectory = (one: string, other: string): boolean => {
  try {
    const [a, b] = [fs.statSync(one, { bigint: true }), fs.statSync(other, { bigint: true })]
    return a.dev === b.dev && a.ino === b.ino
  } catch {
    return false
  }
}

/** The server at that place, if it proves itself. */
const ask = Effect.fnUntraced(function*({ host, pid, port, secret }: Place) {
  const url = `http://${
    host === undefined || !isOfMachine(host) ? "127.0.0.1" : isIPv6(host) ? `[${host}]` : host
  }:${port}`
  const health = yield* (secret === undefined ? makeClient(url).health : provenHealth(url, port, secret)).pipe(
    Effect.timeout(healthTimeout),
    Effect.orElseSucceed(() => undefined)
  )
  return health?.pid === pid ? { url, port, health } satisfies Found : undefined
})

/** An earlier version has no secret; the kernel says whose lock it is, and a process that has it has its port, too. */
const holdsLock = Effect.fnUntraced(function*(dataDirectory: string, pid: number) {
  const { lock } = filesOf(dataDirectory)
  if ((yield* lockState(lock)) !== "held") return false
  return process.platform !== "linux" || holderOf(lock) === pid
})

/** What `/health` says, if the answer comes from a server that knows the secret and listens on that very port. */
const provenHealth = Effect.fnUntraced(function*(url: string, port: number, secret: string) {
  const challenge = makeChallenge()
  const { body, proof } = yield* makeClient(url).provenHealth(challenge)
  if (proof === undefined || !isSame(proof, proofOf(secret, port, challenge, body))) return undefined
  return yield* Schema.decodeEffect(Schema.fromJsonString(Health))(body)
})

/** Whether the address is one of this machine: a file may name any. */
const isOfMachine = (host: string): boolean =>
  isIP(host) !== 0 && (/^127\.|^::1$/.test(host) ||
    Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === host)))

/** Finds the server of the settings' data directory, or starts one; says which. */
export const findOrStart = Effect.fnUntraced(function*(settings: SettingsAt) {
  const { dataDirectory } = settings
  const found = yield* find(dataDirectory)
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

/**
 * Asks the server to stop and waits until it is gone; undefined when there was none. The signal goes to no process but the one
 * that has just proven itself: by now its number may be another's, and in a container it is.
 */
export const stop = Effect.fnUntraced(function*(dataDirectory: string) {
  const found = yield* findProven(dataDirectory)
  if (found === undefined) {
    const { lock } = filesOf(dataDirectory)
    if ((yield* lockState(lock)) !== "held") return undefined
    return yield* new ServerSilent({ dataDirectory, pid: holderOf(lock) })
  }
  const { pid, process: identity } = found.health
  const isHere = identity === undefined ? yield* holdsLock(dataDirectory, pid) : identity === identityOf(pid)
  if (!isHere) {
    return yield* new DaemonFailed({
      message: `The server runs elsewhere, such as in a container, where it is pid ${pid}: stop it there.`
    })
  }
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
const takeTurn = (
  dataDirectory: string
): Effect.Effect<
  Found | undefined,
  DaemonFailed | DataDirectoryNotTrusted | DataDirectoryMoved,
  HttpClient | Scope.Scope
> =>
  Effect.gen(function*() {
    while (!(yield* tryLock(filesOf(dataDirectory).startLock))) {
      const found = yield* find(dataDirectory)
      if (found !== undefined) return found
      yield* Effect.sleep(pollEvery)
    }
    return yield* find(dataDirectory)
  })

/** Starts a detached server and waits until it answers, or until another one does that was faster. */
const start = Effect.fnUntraced(function*(settings: SettingsAt) {
  const { dataDirectory } = settings
  const files = filesOf(dataDirectory)
  const settingArguments = argumentsOf(yield* CurrentSettings, settings)
  const launched = Effect.try({
    try: () => launch(dataDirectory, settingArguments),
    catch: (cause) => new DaemonFailed({ message: `Could not start a server: ${(cause as Error).message}.` })
  })
  let child = yield* launched
  let looks = 0
  while (true) {
    const place = child.place()
    const found = (yield* find(dataDirectory)) ?? (place && (yield* ask(place)))
    if (found !== undefined) return found
    const ended = child.ended()
    if (ended !== undefined && ended !== lockedExit) {
      return yield* new DaemonFailed({ message: `The server could not start: ${lastLine(files.log)}` })
    }
    // The other server that kept ours from starting will answer, unless it was stopping: then it is our turn again.
    if (ended === lockedExit && (yield* lockState(files.lock)) === "free") child = yield* launched
    // A server writes its pid when it listens: one that has and still does not prove itself will not do so later.
    else if (ended === lockedExit && ++looks > (readPlace(dataDirectory) === undefined ? startingLooks : silentLooks)) {
      return yield* new ServerSilent({ dataDirectory, pid: holderOf(files.lock) })
    }
    yield* Effect.sleep(pollEvery)
  }
})

/** As many as a server has that stops at this moment, or is slow to answer: about three seconds. */
const silentLooks = 120

/** As many as a server has that holds the lock and does not say yet where it is: about ten seconds. */
const startingLooks = 400

/** The exit code of a server that found the data directory in use. */
const lockedExit = 5

const launch = (dataDirectory: string, settings: ReadonlyArray<string>) => {
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
    ...settings
  ], { detached: true, stdio: ["ignore", log, log, "ipc"] })
  let ended: number | undefined
  let place: Place | undefined
  child.on("error", () => ended = 1)
  child.on("exit", (code) => ended = code ?? 1)
  // A server on a full disk cannot write where it is, and says it here instead (run-server.ts).
  child.on("message", (message) => place = message as unknown as Place)
  child.unref()
  child.channel?.unref()
  fs.closeSync(log)
  return { ended: () => ended, place: () => place }
}

/** Neither a link that leads elsewhere nor a pipe that waits for a reader is written to. */
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
