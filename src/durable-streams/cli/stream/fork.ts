/**
 * `stream fork`.
 */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { connect, connectionFlags } from "../connection.ts"
import { headerText, name, number, orNothing, program, streamFlag } from "../flags/stream-flags.ts"
import { tell } from "../terminal.ts"

export const fork = Command.make(
  "fork",
  {
    name,
    to: streamFlag("to", "The fork's name"),
    offset: orNothing(headerText("offset", "The first offset that is not taken over; left out: the tail", "offset")),
    subOffset: number(
      "sub-offset",
      "Take over so much more: events of a JSON stream, or bytes of the next event of another"
    ),
    ...connectionFlags
  },
  ({ name, offset, subOffset, to, ...connection }) =>
    Effect.gen(function*() {
      const ask = yield* connect(connection)
      const forked = yield* ask((client) => client.create(to, { fork: { source: name, offset, subOffset } }))
      yield* tell(
        forked.made
          ? `Forked ${name} to ${to}, next offset ${forked.nextOffset}`
          : `${to} was there already, forked the same way; next offset ${forked.nextOffset}`
      )
    })
).pipe(
  Command.withDescription("Make a stream that begins with the events of another one, and then goes its own way"),
  Command.withExamples([
    { command: `${program} stream fork -n my-stream --to what-if`, description: "From here on" },
    {
      command: `${program} stream fork -n my-stream --to what-if --offset 0000000000000005`,
      description: "As it was before offset 5"
    }
  ])
)
