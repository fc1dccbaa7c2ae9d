/**
 * `stream list`.
 */
import { Effect, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { toVisible } from "../../../domain/visible-text.ts"
import { connect, connectionFlags } from "../connection.ts"
import { limit } from "../flags/range-flags.ts"
import { optionalText, program } from "../flags/stream-flags.ts"
import { print } from "../terminal.ts"

export const list = Command.make(
  "list",
  {
    prefix: optionalText("prefix", "Only names that begin so"),
    after: optionalText("after", "Only names that sort behind this one"),
    limit: limit.pipe(Flag.withDescription("At most so many names")),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON"), Flag.withDefault(false)),
    ...connectionFlags
  },
  ({ after, json, limit, prefix, ...connection }) =>
    Effect.gen(function*() {
      const ask = yield* connect(connection)
      let isFirst = true
      yield* ask((client) =>
        client.names({ prefix, after, limit }).pipe(
          Stream.runForEachArray((names) => {
            const lead = isFirst ? listHead : ","
            isFirst = false
            return print(
              json
                ? lead + names.map((name) => JSON.stringify(name)).join(",")
                : names.map((name) => `${toVisible(name)}\n`).join("")
            )
          })
        )
      )
      if (json) yield* print(`${isFirst ? listHead : ""}]}\n`)
    })
).pipe(
  Command.withDescription("List streams, sorted by name"),
  Command.withExamples([
    { command: `${program} stream list`, description: "One name a line" },
    { command: `${program} stream list --prefix agents/ --json`, description: "Some of them, as JSON" }
  ])
)

const listHead = `{"streams":[`
