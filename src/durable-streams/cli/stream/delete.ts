/**
 * `stream delete`.
 */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { connect, connectionFlags } from "../connection.ts"
import { name, program } from "../flags/stream-flags.ts"
import { tell } from "../terminal.ts"

/** `delete` is a keyword. */
export const remove = Command.make(
  "delete",
  { name, ...connectionFlags },
  ({ name, ...connection }) =>
    Effect.gen(function*() {
      const ask = yield* connect(connection)
      yield* ask((client) => client.delete(name))
      yield* tell(`Deleted ${name}`)
    })
).pipe(
  Command.withDescription("Delete a stream and its events for good"),
  Command.withExamples([{ command: `${program} stream delete -n my-stream`, description: "There is no way back" }])
)
