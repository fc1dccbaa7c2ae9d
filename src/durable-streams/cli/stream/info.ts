/**
 * `stream info`.
 */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import type { StreamFacts } from "../../../client/client.ts"
import { connect, connectionFlags } from "../connection.ts"
import { name, program } from "../flags/stream-flags.ts"
import { print } from "../terminal.ts"

export const info = Command.make(
  "info",
  {
    name,
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON"), Flag.withDefault(false)),
    ...connectionFlags
  },
  ({ json, name, ...connection }) =>
    Effect.gen(function*() {
      const ask = yield* connect(connection)
      const facts = yield* ask((client) => client.info(name))
      yield* print(json ? `${JSON.stringify(facts)}\n` : linesOf(facts))
    })
).pipe(
  Command.withDescription("Print a stream's content type and next offset, and whether it is closed or expires"),
  Command.withExamples([
    { command: `${program} stream info -n my-stream`, description: "For eyes" },
    { command: `${program} stream info -n my-stream --json`, description: "For scripts" }
  ])
)

const linesOf = ({ closed, contentType, expiresAt, nextOffset, stream, ttlSeconds }: StreamFacts): string =>
  [
    ["stream", stream],
    ["content type", contentType],
    ["next offset", nextOffset],
    ["closed", closed ? "yes" : "no"],
    ["time to live", ttlSeconds === undefined ? undefined : `${ttlSeconds}s without use`],
    ["expires at", expiresAt]
  ].flatMap(([label, value]) => value === undefined ? [] : [`${label!.padEnd(14)}${value}\n`]).join("")
