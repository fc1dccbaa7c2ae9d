/**
 * Starts a server of a data directory in the background. Of all the commands that want one at once, one starts it and the
 * others find it.
 */
import { Effect, type Scope } from "effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as fs from "node:fs"
import { makeDataDirectory } from "../../data-directory/data-directory.ts"
import { holderOf, lockState, tryLock } from "../../data-directory/lock.ts"
import type { DataDirectoryMoved } from "../../data-directory/paths.ts"
import { DaemonFailed, filesOf, ServerSilent } from "../../data-directory/paths.ts"
import type { DataDirectoryNotTrusted } from "../../data-directory/trusted-directory.ts"
import { argumentsOf } from "../server/given-settings.ts"
import type { SettingsAt } from "../server/settings.ts"
import { CurrentSettings } from "../server/settings.ts"
import { readPlace } from "./daemon-files.ts"
import { askServer, find, type Found } from "./find-server.ts"
import { pollEvery } from "./poll.ts"
import { spawnServer } from "./server-child.ts"

/** A cold start takes about a second; with twenty commands that start at once on two busy cores, it was seen to take 17. */
const startTimeout = "40 seconds"

/** Returns the server of the settings' data directory, started if there was none; `started` says which. */
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

/** Waits for the right to start a daemon here and keeps it until the scope closes; returns a server that comes first. */
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

/** Starts a detached server and waits until it answers, or until a faster one does. */
const start = Effect.fnUntraced(function*(settings: SettingsAt) {
  const { dataDirectory } = settings
  const files = filesOf(dataDirectory)
  const settingArguments = argumentsOf(yield* CurrentSettings, settings)
  const startChild = Effect.try({
    try: () => spawnServer(dataDirectory, settingArguments),
    catch: (cause) => new DaemonFailed({ message: `Could not start a server: ${(cause as Error).message}.` })
  })
  let child = yield* startChild
  let looks = 0
  while (true) {
    const place = child.place()
    const found = (yield* find(dataDirectory)) ?? (place && (yield* askServer(place)))
    if (found !== undefined) return found
    const exitCode = child.exitCode()
    if (exitCode !== undefined && exitCode !== lockedExit) {
      return yield* new DaemonFailed({ message: `The server could not start: ${lastLine(files.log)}` })
    }
    // Another server held the lock. It will answer, unless it was stopping: then this command starts one again.
    if (exitCode === lockedExit && (yield* lockState(files.lock)) === "free") child = yield* startChild
    // A server writes its pid when it listens. If it has, and still does not prove itself, it will not do so later.
    else if (
      exitCode === lockedExit && ++looks > (readPlace(dataDirectory) === undefined ? startingLooks : silentLooks)
    ) {
      return yield* new ServerSilent({ dataDirectory, pid: holderOf(files.lock) })
    }
    yield* Effect.sleep(pollEvery)
  }
})

/** As many looks as a server needs to stop, or to answer slowly: about three seconds. */
const silentLooks = 120

/** As many looks as a server that holds the lock needs to say where it is: about ten seconds. */
const startingLooks = 400

/** The exit code of a server that found the data directory in use. */
const lockedExit = 5

/** The last line of a log, as a person reads it. */
const lastLine = (path: string): string => {
  let line = ""
  try {
    line = fs.readFileSync(path, "utf8").trim().split("\n").at(-1) ?? ""
    return (JSON.parse(line) as { readonly message: string }).message
  } catch {
    // Node's own messages are not JSON.
    return line === "" ? `see ${path}` : `${line} (${path})`
  }
}
