/**
 * `stream append`.
 */
import { Effect, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { isEventText } from "../../../client/answer-bounds.ts"
import { ServerRefused } from "../../../client/client-answers.ts"
import type { Conditions } from "../../../client/client.ts"
import { connect, connectionFlags } from "../connection.ts"
import { WrongUsage } from "../exit.ts"
import { event, headerText, message, name, number, orNothing, output, program } from "../flags/stream-flags.ts"
import { isTyped, print, printAsIs, tell } from "../terminal.ts"
import type { LineRules } from "./append-lines.ts"
import { groupsOf, invalids, oneGroupOf } from "./append-lines.ts"
import { makeWriter } from "./append-writer.ts"
import { typedData } from "./event-text.ts"
import { makeShow } from "./format.ts"
import { stdinLines } from "./stdin-lines.ts"

const conditionFlags = {
  ifMatch: orNothing(headerText("if-match", "Append only if the next event has this offset", "offset")),
  close: Flag.Boolean("close").pipe(Flag.withDescription("Close the stream with this append"), Flag.withDefault(false)),
  seq: orNothing(headerText("seq", "Append only if this sorts behind the sequence of every append before", "sequence")),
  producerId: orNothing(
    headerText("producer-id", "Append once, however often it is tried: the name of the writer", "id")
  ),
  producerEpoch: number("producer-epoch", "… its epoch, from 0; a newer one shuts out the older ones"),
  producerSeq: number("producer-seq", "… and the number of the append in that epoch, from 0")
}

export const append = Command.make(
  "append",
  {
    name,
    message: message("Append {\"type\":\"message\",\"text\":…}; to a stream that does not hold JSON, the text"),
    event: event("Append this JSON as it is"),
    input: Flag.Literals("input", ["auto", "text", "json"]).pipe(
      Flag.withAlias("i"),
      Flag.withDescription("Lines of stdin are messages, JSON, or (auto) JSON if they are an object or an array"),
      Flag.withDefault("auto")
    ),
    invalid: Flag.Literals("invalid", invalids).pipe(
      Flag.withDescription(
        "Lines of stdin that cannot become an event end the command, are left out, or get U+FFFD for bytes that are not UTF-8"
      ),
      Flag.withDefault("fail")
    ),
    ...conditionFlags,
    output,
    ...connectionFlags
  },
  ({ event, input, invalid, message, name, output, ...rest }) =>
    Effect.gen(function*() {
      const conditions = yield* toConditions(rest)
      const data = yield* typedData({ message, event })
      if (data === undefined && isTyped()) {
        return yield* Effect.fail(
          new WrongUsage("Say what to append: -m \"text\", -e '{\"json\":1}', or lines on stdin.")
        )
      }
      // Asked only when there is something to append: no server is started for nothing.
      const connected = yield* Effect.cached(connect(rest))
      const show = yield* makeShow(
        output,
        Effect.flatMap(connected, (ask) => Effect.map(ask((client) => client.info(name)), (info) => info.contentType))
      )
      const send = Effect.fnUntraced(function*(all: ReadonlyArray<string>, conditions: Conditions | undefined) {
        const ask = yield* connected
        const only = all.length === 1 ? all[0] : undefined
        return yield* only === undefined
          ? ask((client) => client.appendAll(name, all, conditions))
          : ask((client) => client.append(name, only, conditions)).pipe(
            // In a stream that is not JSON a message is its text, and nothing around it.
            Effect.catchIf((error) => message !== undefined && isOtherType(error), () =>
              ask((client) => client.append(name, JSON.stringify(message), conditions)))
          )
      })
      const printAnswer = (answer: string) =>
        isEventText(answer) ? Effect.flatMap(show([answer]), printAsIs) : print(`${answer.replace(/[\r\n]/g, " ")}\n`)
      const appendAtOnce = Effect.fnUntraced(function*(all: ReadonlyArray<string>) {
        const answer = yield* send(all, conditions)
        if (!wasRepeated(answer, conditions)) {
          return yield* printAnswer(answer)
        }
        yield* tell("This had been appended before; nothing was appended now.")
        // There is no event to show.
        if (output === "json") {
          yield* printAnswer(answer)
        }
      })
      if (data !== undefined) {
        return yield* appendAtOnce([data])
      }
      const bodyBytesMax = yield* Effect.cached(
        Effect.flatMap(
          connected,
          (ask) =>
            Effect.map(ask((client) => client.health), ({ bodyBytesMax }) => bodyBytesMax)
        )
      )
      const rules = Effect.map(bodyBytesMax, (bodyBytesMax): LineRules => ({ input, invalid, bodyBytesMax }))
      const groups = groupsOf(stdinLines(bodyBytesMax), rules)
      if (conditions !== undefined) {
        // With a condition, all lines are one append, however they arrive.
        const all = yield* oneGroupOf(groups, rules)
        return yield* all.length === 0 ? failEmpty : appendAtOnce(all)
      }
      const write = makeWriter(send)
      let hasLines = false
      yield* Stream.runForEach(groups, (group) => {
        hasLines = true
        return Effect.flatMap(write(group), printAnswer)
      })
      if (!hasLines) return yield* failEmpty
    })
).pipe(
  Command.withDescription("Append an event; without -m and -e, one for each line of stdin"),
  Command.withExamples([
    { command: `${program} stream append -n my-stream -m "hello world"`, description: "A message" },
    { command: `${program} stream append -n my-stream -e '{"custom":"data"}'`, description: "Any JSON" },
    { command: `tail -f build.log | ${program} stream append -n build`, description: "Lines, as they come" },
    {
      command: `${program} stream append -n my-stream -m once --producer-id me --producer-epoch 0 --producer-seq 0`,
      description: "Safe to try again: it is appended once"
    },
    {
      command: `${program} stream append -n my-stream -m "that is all" --close`,
      description: "The last event"
    }
  ])
)

const isOtherType = (error: unknown): boolean =>
  error instanceof ServerRefused && error.problem["type"] === "urn:durable-streams:ContentTypeMismatch"

const failEmpty = Effect.fail(new WrongUsage("stdin held no line; nothing was appended."))

interface Given {
  readonly ifMatch: string | undefined
  readonly close: boolean
  readonly seq: string | undefined
  readonly producerId: string | undefined
  readonly producerEpoch: number | undefined
  readonly producerSeq: number | undefined
}

/** Undefined: the append has no condition. */
const toConditions = (given: Given): Effect.Effect<Conditions | undefined, WrongUsage> => {
  const { close, ifMatch, producerEpoch: epoch, producerId: id, producerSeq: seq } = given
  const isNone = id === undefined && epoch === undefined && seq === undefined
  if (!isNone && (id === undefined || epoch === undefined || seq === undefined)) {
    return Effect.fail(new WrongUsage("Give --producer-id, --producer-epoch and --producer-seq together."))
  }
  if (isNone && ifMatch === undefined && given.seq === undefined && !close) return Effect.undefined
  return Effect.succeed({
    ifMatch,
    close,
    seq: given.seq,
    producer: isNone ? undefined : { id: id!, epoch: epoch!, seq: seq! }
  })
}

const wasRepeated = (answer: string, conditions: Conditions | undefined): boolean =>
  conditions?.producer !== undefined && !isEventText(answer) && /"repeated":true[,}]/.test(answer)
