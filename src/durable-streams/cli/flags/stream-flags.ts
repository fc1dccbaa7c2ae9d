/**
 * Flags that several commands have.
 */
import { Option, Schema } from "effect"
import { Flag } from "effect/cli"
import { StreamName } from "../../../domain/types.ts"
import { formats } from "../stream/format.ts"

export const program = "durable-streams"

/** A flag that takes the name of a stream. */
export const streamFlag = (flag: string, description: string) =>
  Flag.String(flag).pipe(
    Flag.withDescription(description),
    Flag.withMetavar("stream"),
    Flag.withSchema(StreamName.check(Schema.makeFilter((name) => !isFolded(name) || foldedFault)))
  )

export const name = streamFlag("name", "The stream's name; / makes a hierarchy").pipe(Flag.withAlias("n"))

export const output = Flag.Literals("output", formats).pipe(
  Flag.withAlias("o"),
  Flag.withDescription("json: the event; raw: its data alone; pretty: for eyes"),
  Flag.withDefault("json")
)

/** The output of commands that report findings. */
export const reportOutput = Flag.Literals("output", ["text", "json"]).pipe(
  Flag.withAlias("o"),
  Flag.withDescription("text: a line for each finding; json: the same as JSON, one object a line"),
  Flag.withDefault("text")
)

export const count = (flag: string, description: string) =>
  Flag.Int(flag).pipe(
    Flag.withDescription(description),
    Flag.withMetavar("count"),
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)))
  )

export const orNothing = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  flag.pipe(Flag.optional, Flag.map(Option.getOrUndefined))

export const optionalText = (flag: string, description: string) =>
  orNothing(Flag.String(flag).pipe(Flag.withDescription(description)))

/** A text for a header, which passes on only such texts as they are. */
export const headerText = (flag: string, description: string, metavar: string) =>
  Flag.String(flag).pipe(
    Flag.withDescription(description),
    Flag.withMetavar(metavar),
    Flag.withSchema(
      Schema.String.check(
        Schema.makeFilter((text) => /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text) || headerFault)
      )
    )
  )

const headerFault = "it must be printable ASCII, without spaces at its ends"

/** A whole number from 0 on. */
export const number = (flag: string, description: string) =>
  Flag.Int(flag).pipe(
    Flag.withDescription(description),
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))),
    orNothing
  )

export const message = (description: string) =>
  optionalText("message", description).pipe(Flag.withAlias("m"), Flag.withMetavar("text"))

export const event = (description: string) =>
  optionalText("event", description).pipe(Flag.withAlias("e"), Flag.withMetavar("json"))

/** Every URL parser folds these path segments away, `fetch`'s included, in every encoding. */
const isFolded = (name: string): boolean => name === "." || name === ".."
const foldedFault = "it stands for a folder in every URL and would be lost on the way"
