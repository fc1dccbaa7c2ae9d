/**
 * `server run`.
 */
import { type Cause, Data, Effect, Exit } from "effect"
import { Command, Flag } from "effect/cli"
import type { SettingTable } from "../../../domain/setting.ts"
import { layerJson, layerReadable } from "../../server/logging.ts"
import { withDefaults } from "../../server/settings.ts"
import { endingOf, Logged } from "../exit.ts"
import { checkBareVariables } from "../flags/bare-variables.ts"
import type { Input } from "../flags/settings-flags.ts"
import { settingsFlags, toSettings } from "../flags/settings-flags.ts"
import { program } from "../flags/stream-flags.ts"
import { Shutdown } from "../shutdown.ts"

/** The server can keep nothing any more, and must not be there when the next one starts. */
class DirectoryGone extends Data.TaggedError("DirectoryGone")<{ readonly dataDirectory: string }> {
  override get message() {
    return `The data directory ${this.dataDirectory} was removed or renamed; its server has ended.`
  }
}

export const makeRun = (table: SettingTable) =>
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

const serve = (input: Input) =>
  Effect.scoped(Effect.gen(function*() {
    yield* checkBareVariables
    // Only this command needs a server's modules; the others start faster without them.
    const { awaitDirectoryGone, run } = yield* Effect.promise(() => import("../../server/run-server.ts"))
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
    const gone = Effect.andThen(awaitDirectoryGone(settings.dataDirectory), new DirectoryGone(settings))
    const signal = yield* Effect.raceFirst(signalled, gone)
    yield* Effect.logInfo("Stopping").pipe(Effect.annotateLogs({ signal }))
  }))

/** A daemon has only its log to write to, in which every line is JSON. */
const toLog = (cause: Cause.Cause<unknown>) => {
  const { code, message } = endingOf(Exit.failCause(cause))
  return Effect.andThen(
    message === undefined ? Effect.void : Effect.logError(message),
    Effect.fail(new Logged({ code }))
  )
}
