/**
 * `stream create | info | close | fork`: what the protocol has and the native API has not.
 */
import { Effect } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import type { StreamFacts } from "../../client/client.ts"
import { durationMillis } from "../../domain/durations.ts"
import { jsonType } from "../../domain/types.ts"
import { connect, connectionFlags } from "./connection.ts"
import { typedBody } from "./event-text.ts"
import { event, headerText, message, name, number, orNothing, program, streamFlag } from "./stream-flags.ts"
import { print, tell } from "./terminal.ts"

const ttlSeconds = Flag.String("ttl").pipe(
  Flag.withDescription("Delete the stream when nobody has used it for so long: seconds, or as 10m, 2d"),
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
    contentType: headerText("content-type", `What the stream holds; left out: ${jsonType}`, "type").pipe(
      Flag.withDefault(jsonType)
    ),
    ttlSeconds,
    expiresAt: orNothing(headerText("expires-at", "Delete the stream then: RFC 3339", "time")),
    closed: Flag.Boolean("closed").pipe(
      Flag.withDescription("Closed from the start: what -m or -e give is all there will be"),
      Flag.withDefault(false)
    ),
    message: message("Begin with {\"type\":\"message\",\"text\":…}; where it is not to hold JSON, with the text"),
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
  Command.withDescription("Say what a stream holds, where its tail is, and whether it is closed or expires"),
  Command.withExamples([
    { command: `${program} stream info -n my-stream`, description: "For eyes" },
    { command: `${program} stream info -n my-stream --json`, description: "For scripts" }
  ])
)

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
      // What cannot be JSON is told before anything is asked.
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
  Command.withDescription("Close a stream: nothing more can be appended, and whoever follows it comes to an end"),
  Command.withExamples([
    { command: `${program} stream close -n my-stream`, description: "May be repeated" },
    { command: `${program} stream close -n my-stream -m "that is all"`, description: "With a last event, in one step" }
  ])
)

export const fork = Command.make(
  "fork",
  {
    name,
    to: streamFlag("to", "The fork's name"),
    offset: orNothing(headerText("offset", "The first offset that is not taken over; left out: the tail", "offset")),
    subOffset: number(
      "sub-offset",
      "Take over so much more: events of JSON, or bytes of the next event of another type"
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
  Command.withDescription("Make a stream that begins with what another one holds, and goes its own way"),
  Command.withExamples([
    { command: `${program} stream fork -n my-stream --to what-if`, description: "From here on" },
    {
      command: `${program} stream fork -n my-stream --to what-if --offset 0000000000000005`,
      description: "As it was before offset 5"
    }
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
