/**
 * `stream get`.
 */
import { Effect, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { connect, connectionFlags, locate } from "../connection.ts"
import { limit, offset, since, tail } from "../flags/range-flags.ts"
import { name, output, program } from "../flags/stream-flags.ts"
import { printAsIs } from "../terminal.ts"
import { makeShow } from "./format.ts"
import { contentTypeOf, printLive } from "./live-output.ts"

export const get = Command.make(
  "get",
  {
    name,
    offset,
    limit,
    tail,
    since,
    follow: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Go on with new events"),
      Flag.withDefault(false)
    ),
    output,
    ...connectionFlags
  },
  ({ follow, limit, name, offset, output, since, tail, ...connection }) =>
    Effect.gen(function*() {
      const ask = yield* connect(connection)
      const show = yield* makeShow(output, contentTypeOf(ask, name))
      if (follow) {
        const { bodyBytesMax } = yield* ask((client) => client.health)
        const begin = offset ?? (tail === undefined && since === undefined ? "beginning" : undefined)
        const start = { offset: begin, tail, since }
        return yield* printLive(name, { start, locate: locate(connection), bodyBytesMax }, limit, show)
      }
      yield* ask((client) =>
        client.events(name, { offset, limit, tail, since }).pipe(
          Stream.runForEachArray((texts) => Effect.flatMap(show(texts), printAsIs))
        )
      )
    })
).pipe(
  Command.withDescription("Print the events that are stored, and end"),
  Command.withExamples([
    { command: `${program} stream get -n my-stream`, description: "All of them" },
    {
      command: `${program} stream get -n my-stream --offset 0000000000000005 -l 10`,
      description: "Ten from offset 5 on"
    },
    { command: `${program} stream get -n my-stream --since 10m -f`, description: "The last ten minutes, then new ones" }
  ])
)
