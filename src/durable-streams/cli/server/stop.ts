/**
 * `server stop`.
 */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { stop } from "../../daemon.ts"
import { NotRunning } from "../connection.ts"
import { dataDirectoryFlag } from "../flags/settings-flags.ts"
import { program } from "../flags/stream-flags.ts"
import { print } from "../terminal.ts"

export const stopCommand = Command.make(
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
