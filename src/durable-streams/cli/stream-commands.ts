/**
 * `stream subscribe | get | list | delete`, and the tree of all stream commands.
 */
import { Effect, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import type { FollowOptions } from "../../client/follow.ts"
import { follow } from "../../client/follow.ts"
import { toVisible } from "../../domain/visible-text.ts"
import { readerGone } from "../process/stdout.ts"
import { append } from "./append-command.ts"
import { connect, connectionFlags, locate } from "./connection.ts"
import { makeShow } from "./format.ts"
import { gapText } from "./gap-text.ts"
import { close, create, fork, info } from "./protocol-commands.ts"
import { count, name, optionalText, orNothing, output, program } from "./stream-flags.ts"
import { print, printAsIs, tell } from "./terminal.ts"

const offset = optionalText("offset", "Where to begin: -1 (the beginning), now, or an offset, which is included")
const since = optionalText("since", "Only events since then: a duration such as 10m, or RFC 3339")
const tail = orNothing(count("tail", "Only the last so many events"))
const limit = orNothing(count("limit", "End after so many events").pipe(Flag.withAlias("l")))

const subscribe = Command.make(
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

const get = Command.make(
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
  Command.withDescription("Print the events there are, and end"),
  Command.withExamples([
    { command: `${program} stream get -n my-stream`, description: "All of them" },
    {
      command: `${program} stream get -n my-stream --offset 0000000000000005 -l 10`,
      description: "Ten from offset 5 on"
    },
    { command: `${program} stream get -n my-stream --since 10m -f`, description: "The last ten minutes, then new ones" }
  ])
)

const list = Command.make(
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

const remove = Command.make(
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

export const streamCommand = Command.make("stream").pipe(
  Command.withDescription("Append to streams, read and follow them"),
  Command.withExamples([{
    command: `${program} stream append -n hello -m "hello world"`,
    description: "A first event"
  }]),
  Command.withSubcommands([subscribe, get, append, create, info, close, fork, list, remove])
)

const listHead = `{"streams":[`

const contentTypeOf = (ask: Ask, name: string) =>
  Effect.map(ask((client) => client.info(name)), ({ contentType }) => contentType)

type Ask = Effect.Success<ReturnType<typeof connect>>

/** Prints events as they come, until the reader of stdout leaves; if interrupted, says where to go on. */
const printLive = <E, R>(
  name: string,
  options: FollowOptions,
  limit: number | undefined,
  show: (texts: ReadonlyArray<string>) => Effect.Effect<string | Uint8Array, E, R>
) => {
  let next: string | undefined
  const events = follow(name, {
    ...options,
    onLost: tell("Lost the server; waiting for it to come back."),
    onConnected: (offset, isBack) =>
      Effect.suspend(() => {
        next ??= offset
        return isBack ? tell(`Back again, going on at offset ${offset}.`) : Effect.void
      }),
    onGap: (gap) =>
      Effect.suspend(() => {
        next = undefined
        return tell(gapText(gap))
      })
  }).pipe(limit === undefined ? (events) => events : Stream.take(limit))
  return events.pipe(
    Stream.runForEachArray((events) =>
      Effect.andThen(
        Effect.flatMap(show(events.map(({ text }) => text)), printAsIs),
        Effect.sync(() => next = events.at(-1)?.next ?? next)
      )
    ),
    Effect.raceFirst(readerGone),
    Effect.onInterrupt(() => next === undefined ? Effect.void : tell(`Next offset: ${next}`))
  )
}
