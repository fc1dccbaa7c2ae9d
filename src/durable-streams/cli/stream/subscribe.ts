/**
 * `stream subscribe`.
 */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { connect, connectionFlags, locate } from "../connection.ts"
import { limit, offset, since, tail } from "../flags/range-flags.ts"
import { name, output, program } from "../flags/stream-flags.ts"
import { makeShow } from "./format.ts"
import { contentTypeOf, printLive } from "./live-output.ts"

export const subscribe = Command.make(
  "subscribe",
  { name, offset, tail, since, limit, output, ...connectionFlags },
  ({ limit, name, offset, output, since, tail, ...connection }) =>
    Effect.gen(function*() {
      const ask = yield* connect(connection)
      // A server that was never there is told at once; only one that is lost is waited for.
      const { bodyBytesMax } = yield* ask((client) => client.health)
      const show = yield* makeShow(output, contentTypeOf(ask, name))
      yield* printLive(name, { start: { offset, tail, since }, locate: locate(connection), bodyBytesMax }, limit, show)
    })
).pipe(
  Command.withDescription("Follow a stream, from now on unless told otherwise; reconnects by itself"),
  Command.withExamples([
    { command: `${program} stream subscribe -n my-stream`, description: "Wait for new events" },
    { command: `${program} stream subscribe -n my-stream --offset -1`, description: "From the beginning" },
    {
      command: `${program} stream subscribe -n my-stream --tail 10 -o pretty`,
      description: "The last ten, then new ones"
    }
  ])
)
