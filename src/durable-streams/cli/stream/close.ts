/**
 * `stream close`.
 */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { jsonType } from "../../../domain/types.ts"
import { connect, connectionFlags } from "../connection.ts"
import { event, message, name, program } from "../flags/stream-flags.ts"
import { tell } from "../terminal.ts"
import { typedBody } from "./event-text.ts"

export const close = Command.make(
  "close",
  {
    name,
    message: message(
      "Append {\"type\":\"message\",\"text\":…} as the last event; to a stream that is not JSON, the text"
    ),
    event: event("Append this JSON as the last event"),
    ...connectionFlags
  },
  ({ event, message, name, ...connection }) =>
    Effect.gen(function*() {
      // A text that is not JSON is refused before the server is asked.
      const isBare = (yield* typedBody({ message, event }, jsonType)) === undefined
      const ask = yield* connect(connection)
      const { nextOffset } = yield* ask(Effect.fnUntraced(function*(client) {
        if (isBare) return yield* client.close(name)
        const { contentType } = yield* client.info(name)
        return yield* client.close(name, {
          body: (yield* typedBody({ message, event }, contentType)) ?? "",
          contentType
        })
      }))
      yield* tell(`Closed ${name} at offset ${nextOffset}`)
    })
).pipe(
  Command.withDescription("Close a stream: nothing more can be appended, and its followers come to an end"),
  Command.withExamples([
    { command: `${program} stream close -n my-stream`, description: "May be repeated" },
    { command: `${program} stream close -n my-stream -m "that is all"`, description: "With a last event, in one step" }
  ])
)
