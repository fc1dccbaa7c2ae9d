/**
 * `stream subscribe | get | append | list | delete`.
 */
import { Effect, Option, Schema, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import type { Start } from "../client.ts"
import type { FollowOptions } from "../follow.ts"
import { follow } from "../follow.ts"
import { StreamName } from "../types.ts"
import { connect, connectionFlags, locate } from "./connection.ts"
import { WrongUsage } from "./exit.ts"
import type { Format } from "./format.ts"
import { formatEvent, formats } from "./format.ts"
import { stdinLines } from "./stdin-lines.ts"
import { inColour, isTyped, print, tell } from "./terminal.ts"

const program = "durable-streams"

const name = Flag.String("name").pipe(
  Flag.withAlias("n"),
  Flag.withDescription("The stream's name; / makes a hierarchy"),
  Flag.withMetavar("stream"),
  Flag.withSchema(StreamName.check(Schema.makeFilter((name) => !isFolded(name) || foldedFault)))
)

const output = Flag.Literals("output", formats).pipe(
  Flag.withAlias("o"),
  Flag.withDescription("json: the event; raw: its data alone; pretty: for eyes"),
  Flag.withDefault("json")
)

const count = (flag: string, description: string) =>
  Flag.Int(flag).pipe(
    Flag.withDescription(description),
    Flag.withMetavar("count"),
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)))
  )

const optionalText = (flag: string, description: string) =>
  Flag.String(flag).pipe(Flag.withDescription(description), Flag.optional, Flag.map(Option.getOrUndefined))

const offset = optionalText("offset", "Where to begin: -1 (the beginning), now, or an offset, which is included")
const since = optionalText("since", "Only events since then: a duration such as 10m, or RFC 3339")
const tail = count("tail", "Only the last so many events").pipe(Flag.optional, Flag.map(Option.getOrUndefined))
const limit = count("limit", "End after so many events").pipe(
  Flag.withAlias("l"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

const subscribe = Command.make(
  "subscribe",
  { name, offset, tail, since, limit, output, ...connectionFlags },
  ({ limit, name, offset, output, since, tail, ...connection }) =>
    Effect.gen(function*() {
      const ask = yield* connect(connection)
      // A server that was never there is told at once; only one that is lost is waited for.
      yield* ask((client) => client.health)
      yield* printLive(name, { offset, tail, since }, limit, output, locate(connection))
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
      if (follow) {
        yield* ask((client) => client.health)
        const start = offset ?? (tail === undefined && since === undefined ? "beginning" : undefined)
        return yield* printLive(name, { offset: start, tail, since }, limit, output, locate(connection))
      }
      const colour = inColour()
      yield* ask((client) =>
        client.events(name, { offset, limit, tail, since }).pipe(
          Stream.runForEachArray((texts) => print(texts.map((text) => formatEvent(text, output, colour)).join("")))
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

const append = Command.make(
  "append",
  {
    name,
    message: Flag.String("message").pipe(
      Flag.withAlias("m"),
      Flag.withDescription("Append {\"type\":\"message\",\"text\":…}"),
      Flag.withMetavar("text"),
      Flag.optional
    ),
    event: Flag.String("event").pipe(
      Flag.withAlias("e"),
      Flag.withDescription("Append this JSON as it is"),
      Flag.withMetavar("json"),
      Flag.optional
    ),
    input: Flag.Literals("input", ["auto", "text", "json"]).pipe(
      Flag.withAlias("i"),
      Flag.withDescription("Lines of stdin are messages, JSON, or (auto) JSON where they are an object or an array"),
      Flag.withDefault("auto")
    ),
    output,
    ...connectionFlags
  },
  ({ event, input, message, name, output, ...connection }) =>
    Effect.gen(function*() {
      if (Option.isSome(message) && Option.isSome(event)) {
        return yield* Effect.fail(new WrongUsage("Give -m or -e, not both."))
      }
      const data = Option.isSome(message)
        ? toMessage(message.value)
        : Option.isSome(event)
        ? yield* jsonText(event.value, "The text of -e")
        : undefined
      if (data === undefined && isTyped()) {
        return yield* Effect.fail(
          new WrongUsage("Say what to append: -m \"text\", -e '{\"json\":1}', or lines on stdin.")
        )
      }
      // Only when there is something to append: no server is started for nothing.
      const connected = yield* Effect.cached(connect(connection))
      const one = Effect.fnUntraced(function*(data: string) {
        const ask = yield* connected
        yield* print(formatEvent(yield* ask((client) => client.append(name, data)), output, inColour()))
      })
      if (data !== undefined) return yield* one(data)
      let any = false
      yield* Stream.runForEach(stdinLines, (lines) =>
        Effect.gen(function*() {
          any = true
          const all = yield* Effect.forEach(lines, (line) => toData(line, input))
          if (all.length === 1) return yield* one(all[0]!)
          const ask = yield* connected
          yield* print(`${yield* ask((client) => client.appendAll(name, all))}\n`)
        }))
      if (!any) return yield* Effect.fail(new WrongUsage("stdin held no line; nothing was appended."))
    })
).pipe(
  Command.withDescription("Append an event; without -m and -e, one for each line of stdin"),
  Command.withExamples([
    { command: `${program} stream append -n my-stream -m "hello world"`, description: "A message" },
    { command: `${program} stream append -n my-stream -e '{"custom":"data"}'`, description: "Any JSON" },
    { command: `tail -f build.log | ${program} stream append -n build`, description: "Lines, as they come" }
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
      const names = yield* ask((client) => client.list({ prefix, after, limit }))
      yield* print(json ? `${JSON.stringify(names)}\n` : names.streams.map((name) => `${name}\n`).join(""))
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
  Command.withSubcommands([subscribe, get, append, list, remove])
)

/** Prints events as they come, and says on the way out where to go on. */
const printLive = (
  name: string,
  start: Start,
  limit: number | undefined,
  format: Format,
  locate: FollowOptions["locate"]
) => {
  let next: string | undefined
  const colour = inColour()
  const events = follow(name, {
    start,
    locate,
    onLost: tell("Lost the server; waiting for it to come back."),
    onConnected: (offset, isBack) =>
      Effect.suspend(() => {
        next ??= offset
        return isBack ? tell(`Back again, going on at offset ${offset}.`) : Effect.void
      })
  }).pipe(limit === undefined ? (events) => events : Stream.take(limit))
  return events.pipe(
    Stream.runForEachArray((events) =>
      Effect.andThen(
        print(events.map(({ text }) => formatEvent(text, format, colour)).join("")),
        Effect.sync(() => next = events.at(-1)?.next ?? next)
      )
    ),
    Effect.onInterrupt(() => next === undefined ? Effect.void : tell(`Next offset: ${next}`))
  )
}

/** Every URL parser folds these path segments away, `fetch`'s included, however they are encoded. */
const isFolded = (name: string): boolean => name === "." || name === ".."
const foldedFault = "it stands for a folder in every URL and would be lost on the way"

const toMessage = (text: string): string => JSON.stringify({ type: "message", text })

const jsonText = (text: string, what: string): Effect.Effect<string, WrongUsage> =>
  Effect.try({
    try: () => {
      JSON.parse(text)
      return text.replace(/[\r\n]/g, " ")
    },
    catch: (error) => new WrongUsage(`${what} is not JSON: ${(error as Error).message}.`)
  })

const toData = (line: string, input: "auto" | "text" | "json"): Effect.Effect<string, WrongUsage> => {
  if (input === "text") return Effect.succeed(toMessage(line))
  if (input === "json") return jsonText(line, `The line ${JSON.stringify(line.slice(0, 60))}`)
  // Text that only happens to be JSON (a number, `null`) stays text.
  return /^\s*[[{]/.test(line)
    ? Effect.orElseSucceed(jsonText(line, "The line"), () => toMessage(line))
    : Effect.succeed(toMessage(line))
}
