/**
 * `server run | start | stop | restart | status`.
 */
import { type Cause, Data, Effect, Exit } from "effect"
import { Command, Flag } from "effect/cli"
import { DaemonFailed } from "../../data-directory/paths.ts"
import type { SettingTable } from "../../domain/setting.ts"
import type { Found } from "../daemon.ts"
import { find, findOrStart, stop } from "../daemon.ts"
import { fromHealth } from "../server/given-settings.ts"
import { layerJson, layerReadable } from "../server/logging.ts"
import { withDefaults } from "../server/settings.ts"
import { checkBareVariables } from "./bare-variables.ts"
import { NotRunning } from "./connection.ts"
import { endingOf, Logged } from "./exit.ts"
import type { Input } from "./settings-flags.ts"
import { dataDirectoryFlag, settingsFlags, toSettings } from "./settings-flags.ts"
import { Shutdown } from "./shutdown.ts"
import { print, tell } from "./terminal.ts"

const program = "durable-streams"

/** The server cannot keep anything any more, and the next one must not meet it. */
class DirectoryGone extends Data.TaggedError("DirectoryGone")<{ readonly dataDirectory: string }> {
  override get message() {
    return `The data directory ${this.dataDirectory} was removed or renamed; its server has ended.`
  }
}

const serve = (input: Input) =>
  Effect.scoped(Effect.gen(function*() {
    yield* checkBareVariables
    // Only this command needs a server's modules; the others start faster without them.
    const { directoryGone, run } = yield* Effect.promise(() => import("../server/run-server.ts"))
    const asked = toSettings(input)
    const settings = withDefaults(asked)
    const server = yield* run(asked)
    yield* Effect.logInfo("Listening").pipe(Effect.annotateLogs({
      url: `http://${server.host.includes(":") ? `[${server.host}]` : server.host}:${server.port}`,
      pid: process.pid,
      storage: settings.storage,
      durability: settings.durability,
      dataDirectory: settings.dataDirectory
    }))
    const { signalled } = yield* Shutdown
    const gone = Effect.andThen(directoryGone(settings.dataDirectory), new DirectoryGone(settings))
    const signal = yield* Effect.raceFirst(signalled, gone)
    yield* Effect.logInfo("Stopping").pipe(Effect.annotateLogs({ signal }))
  }))

const makeRun = (table: SettingTable) =>
  Command.make(
    "run",
    { ...settingsFlags(table), daemon: Flag.Boolean("daemon").pipe(Flag.withDefault(false), Flag.withHidden) },
    ({ daemon, ...input }): Effect.Effect<void, Effect.Error<ReturnType<typeof serve>> | Logged, Shutdown> =>
      daemon
        ? serve(input).pipe(Effect.catchCause(toLog), Effect.provide(layerJson))
        : serve(input).pipe(Effect.provide(layerReadable))
  ).pipe(
    Command.withDescription("Run a server in the foreground"),
    Command.withExamples([{ command: `${program} server run --port 3000`, description: "Serve until Ctrl-C" }])
  )

/** A daemon has nobody to tell but its log, where every line is JSON. */
const toLog = (cause: Cause.Cause<unknown>) => {
  const { code, message } = endingOf(Exit.failCause(cause))
  return Effect.andThen(
    message === undefined ? Effect.void : Effect.logError(message),
    Effect.fail(new Logged({ code }))
  )
}

const makeStart = (table: SettingTable) =>
  Command.make("start", settingsFlags(table), (input) =>
    Effect.gen(function*() {
      yield* checkBareVariables
      const settings = toSettings(input)
      const server = yield* findOrStart(settings)
      // Port 0 is any port, so the one that it has will do.
      if (!server.started && settings.port !== undefined && ![0, server.port].includes(settings.port)) {
        return yield* new DaemonFailed({
          message: `A server is already running on port ${server.port} (pid ${server.health.pid}). ` +
            `Move it with: server restart --port ${settings.port}`
        })
      }
      yield* print(`${server.started ? "Started" : "Already running"}: ${describe(server)}\n`)
    })).pipe(
      Command.withDescription("Start a server in the background"),
      Command.withExamples([{
        command: `${program} server start`,
        description: "Start one, or say that one is running"
      }])
    )

const stopCommand = Command.make(
  "stop",
  { dataDirectory: dataDirectoryFlag },
  ({ dataDirectory }) =>
    Effect.gen(function*() {
      const stopped = yield* stop(dataDirectory)
      if (stopped === undefined) return yield* new NotRunning({ dataDirectory })
      yield* print(`Stopped: pid ${stopped.health.pid}\n`)
    })
).pipe(
  Command.withDescription("Stop the background server"),
  Command.withExamples([{ command: `${program} server stop`, description: "Followers get a clean end" }])
)

const makeRestart = (table: SettingTable) =>
  Command.make("restart", settingsFlags(table), (input) =>
    Effect.gen(function*() {
      // A server that could not come back is not stopped.
      yield* checkBareVariables
      const stopped = yield* stop(input.dataDirectory)
      if (stopped === undefined) yield* tell("No server was running.")
      // What is not asked for stays as it was: whoever follows finds the server again, with what it kept.
      const kept = stopped && { ...fromHealth(table, stopped.health), port: stopped.port }
      const settings = toSettings(input, kept)
      const server = yield* findOrStart(settings).pipe(
        // A port that nobody asked for and somebody took meanwhile is no reason to stay down.
        Effect.catchIf(
          () => !isPortAsked(input) && settings.port !== undefined,
          () => findOrStart({ ...settings, port: undefined })
        )
      )
      yield* print(`${stopped === undefined ? "Started" : "Restarted"}: ${describe(server)}\n`)
    })).pipe(
      Command.withDescription("Stop the background server and start it again"),
      Command.withExamples([{
        command: `${program} server restart --port 3000`,
        description: "Followers reconnect by themselves"
      }])
    )

const statusCommand = Command.make("status", {
  dataDirectory: dataDirectoryFlag,
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON"), Flag.withDefault(false))
}, ({ dataDirectory, json }) =>
  Effect.gen(function*() {
    const found = yield* find(dataDirectory)
    if (json) {
      yield* print(`${
        JSON.stringify(
          found === undefined ? { status: "stopped", dataDirectory } : {
            ...withoutProcess(found.health),
            status: "running",
            url: found.url,
            port: found.port
          }
        )
      }\n`)
    }
    if (found === undefined) return yield* new NotRunning({ dataDirectory })
    if (!json) yield* print(`Running: ${describe(found)}, up ${duration(found.health.uptimeSeconds)}\n`)
    if (!json && found.health.reason !== undefined) yield* tell(found.health.reason)
  })).pipe(
    Command.withDescription("Say whether a server is running, and where"),
    Command.withExamples([
      { command: `${program} server status`, description: "Exit code 3 when none is" },
      { command: `${program} server status --json`, description: "For scripts" }
    ])
  )

const isPortAsked = ({ settings }: Input): boolean => settings["port"]?._tag === "Some"

export const makeServerCommand = (table: SettingTable) =>
  Command.make("server").pipe(
    Command.withDescription("Run and manage the server"),
    Command.withExamples([{ command: `${program} server start`, description: "Start a server in the background" }]),
    Command.withSubcommands([makeRun(table), makeStart(table), stopCommand, makeRestart(table), statusCommand])
  )

const describe = ({ health, url }: Found): string =>
  `${url} (pid ${health.pid}), storage ${health.storage}, data in ${health.dataDirectory}`

/** Which process it is among all that had its number is of use to `server stop` alone. */
const withoutProcess = ({ process: _, ...health }: Found["health"]) => health

const duration = (seconds: number): string =>
  seconds < 60 ? `${seconds}s` : seconds < 3600 ? `${Math.floor(seconds / 60)}m` : `${Math.floor(seconds / 3600)}h`
