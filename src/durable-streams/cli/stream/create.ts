/**
 * `stream create`.
 */
import { Effect } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import { durationMillis } from "../../../domain/durations.ts"
import { jsonType } from "../../../domain/types.ts"
import { connect, connectionFlags } from "../connection.ts"
import { event, headerText, message, name, orNothing, program } from "../flags/stream-flags.ts"
import { tell } from "../terminal.ts"
import { typedBody } from "./event-text.ts"

const ttlSeconds = Flag.String("ttl").pipe(
  Flag.withDescription("Delete the stream when it was not used for so long: seconds, or as 10m, 2d"),
  Flag.withMetavar("time"),
  Flag.mapEffect((text) => {
    const seconds = /^\d{1,15}$/.test(text) ? Number(text) : (durationMillis(text) ?? Number.NaN) / 1000
    return Number.isSafeInteger(seconds) ? Effect.succeed(seconds) : Effect.fail(
      new CliError.InvalidValue({
        option: "ttl",
        value: text,
        expected: "it is no time in whole seconds: write 3600, or 10m, 2d",
        kind: "flag"
      })
    )
  }),
  orNothing
)

export const create = Command.make(
  "create",
  {
    name,
    contentType: headerText("content-type", `Content type of the stream; left out: ${jsonType}`, "type").pipe(
      Flag.withDefault(jsonType)
    ),
    ttlSeconds,
    expiresAt: orNothing(headerText("expires-at", "Delete the stream then: RFC 3339", "time")),
    closed: Flag.Boolean("closed").pipe(
      Flag.withDescription("Closed from the start: it holds the event of -m or -e, and no other"),
      Flag.withDefault(false)
    ),
    message: message("Begin with {\"type\":\"message\",\"text\":…}; if it is not to hold JSON, with the text"),
    event: event("Begin with this JSON"),
    ...connectionFlags
  },
  ({ closed, contentType, event, expiresAt, message, name, ttlSeconds, ...connection }) =>
    Effect.gen(function*() {
      const body = yield* typedBody({ message, event }, contentType)
      const ask = yield* connect(connection)
      const created = yield* ask((client) => client.create(name, { contentType, ttlSeconds, expiresAt, closed, body }))
      yield* tell(
        created.made
          ? `Created ${name} (${created.contentType}), next offset ${created.nextOffset}`
          : `${name} was there already, made the same way; next offset ${created.nextOffset}`
      )
    })
).pipe(
  Command.withDescription("Make a stream, or make sure that it is there; the first append makes one, too"),
  Command.withExamples([
    { command: `${program} stream create -n my-stream`, description: "For JSON, as the first append makes it" },
    {
      command: `${program} stream create -n notes --content-type text/plain -m "first line"`,
      description: "For text, with its first"
    },
    { command: `${program} stream create -n session --ttl 1h`, description: "Gone an hour after its last use" }
  ])
)
