/**
 * A setting: a value that a person can give a server when it starts. One entry of a table says all of it: flag, variable,
 * default, how its text is read and written, its place in `/health`, its line in docs/cli.md. A room keeps the table of its
 * settings beside its code and reads them with `valueOf`. One line in durable-streams/server/settings.ts adds the table; a
 * program that embeds the server passes it to `Server.layer`. Browser-safe: imports nothing but `effect`.
 */
import { Context, Effect, Result } from "effect"
import { durationMillis } from "./durations.ts"

export interface Setting<A> {
  /** Without its dashes. */
  readonly flag: string
  /** The environment variable that stands in for the flag; undefined when only the flag sets the value. */
  readonly variable: string | undefined
  /** The word for the value, in the help and, in capitals, in docs/cli.md. */
  readonly metavar: string
  /** All texts that it takes, when they are few. */
  readonly choices: ReadonlyArray<string> | undefined
  /** Several of these flags are one value; the variable separates them by commas. */
  readonly isRepeatable: boolean
  /** Its line in the help. */
  readonly help: string
  readonly default: A
  /** Reads the text of a flag or of a variable. */
  readonly read: (text: string) => Result.Result<A, Unfit>
  /** Writes a value as a text that `read` reads. */
  readonly write: (value: A) => string
  /** Its place in `/health`, from which a restart takes it again. */
  readonly health: HealthPlace
  /** Its row in docs/cli.md. */
  readonly page: { readonly default: string; readonly text: string }
}

/**
 * `itself`: under its own key. `limits`: among the limits, as they are in force. `settings`: among the settings of rooms.
 * `nothing`: `/health` does not show it.
 */
type HealthPlace = "itself" | "limits" | "settings" | "nothing"

/** Why a text will not do: `expected` is the end of a sentence. */
export interface Unfit {
  readonly value: string
  readonly expected: string
}

/** The settings of a room, by key. The types differ: each setting reads and writes only its own values. */
// oxlint-disable-next-line typescript/no-explicit-any
export type SettingTable = Readonly<Record<string, Setting<any>>>

/** The values of a table. */
export type ValuesOf<Table extends SettingTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Setting<infer A> ? A : never
}

/** Values for some settings of a table. */
export type GivenValues<Table extends SettingTable> = {
  readonly [Key in keyof Table]?: ValuesOf<Table>[Key] | undefined
}

/** The values that were given to this server. */
export const SettingValues = Context.Reference<ReadonlyMap<SettingTable[string], unknown>>(
  "durable-streams/domain/setting/SettingValues",
  { defaultValue: () => new Map() }
)

/** The value of a room's setting in this server: the one that was given, or its default. */
export const valueOf = <A>(setting: Setting<A>): Effect.Effect<A> =>
  Effect.map(SettingValues, (values) => values.has(setting) ? values.get(setting) as A : setting.default)

export interface Description<A> {
  readonly flag: string
  /** The beginning of its line in the help. */
  readonly about: string
  /** How its value may be written: behind `about` and the variable. */
  readonly hint?: string
  /** The words for its default in the help, when the default alone does not say enough. */
  readonly leftOut?: string
  readonly default: A
  /** `settings` when left out. */
  readonly health?: HealthPlace
  /** Its row in docs/cli.md; `default` is `leftOut` when that says enough. */
  readonly page: { readonly default?: string; readonly text: string }
}

/** The form of a kind of setting: its texts, and how they are read and written. */
interface Kind<A> {
  readonly metavar: string
  readonly choices?: ReadonlyArray<string>
  readonly isRepeatable?: boolean
  readonly hasVariable?: boolean
  readonly read: (text: string) => Result.Result<A, Unfit>
  readonly write: (value: A) => string
}

/** A setting of a kind of its own. */
export const setting = <A>(description: Description<A>, kind: Kind<A>): Setting<A> => {
  const { about, flag, health = "settings", hint = "", page } = description
  const { choices, hasVariable = true, isRepeatable = false, metavar, read, write } = kind
  const variable = hasVariable ? `DURABLE_STREAMS_${flag.toUpperCase().replaceAll("-", "_")}` : undefined
  const leftOut = description.leftOut ?? write(description.default)
  const standIn = variable === undefined ? "" : ` (${variable}${isRepeatable ? ", with commas" : ""})`
  return {
    flag,
    variable,
    metavar,
    choices,
    isRepeatable,
    help: `${about}${standIn}${hint}${leftOut === "" ? "" : `; left out: ${leftOut}`}`,
    default: description.default,
    read,
    write,
    health,
    page: { default: leftOut, ...page }
  }
}

interface Bounded extends Description<number> {
  /** The largest value that is no typing error. */
  readonly most: number
}

/** A whole number of things, from 1 on. */
export const count = (description: Bounded): Setting<number> => wholeNumber("count", description)

/** A whole number of bytes, from 1 on. */
export const bytes = (description: Bounded): Setting<number> => wholeNumber("bytes", description)

const wholeNumber = (metavar: string, description: Bounded): Setting<number> =>
  setting(description, {
    metavar,
    read: (text) => {
      const value = /^\d{1,12}$/.test(text) ? Number(text) : 0
      return value >= 1 && value <= description.most
        ? Result.succeed(value)
        : unfit(text, `it is no whole number from 1 to ${description.most}`)
    },
    write: String
  })

/** A client that waits longer than this for anything can ask again. */
const millisMost = 60 * 60 * 1000

/** A time, in milliseconds, up to an hour; a bare number is seconds. */
export const time = (description: Description<number>): Setting<number> =>
  setting({ leftOut: `${description.default / 1000}s`, ...description }, {
    metavar: "time",
    read: (text) => {
      const millis = durationMillis(/^\d+$/.test(text) ? `${text}s` : text) ?? 0
      return millis >= 1 && millis <= millisMost
        ? Result.succeed(millis)
        : unfit(text, "it is no time from 1ms to 1h: write seconds (30), or 500ms, 30s, 2m")
    },
    write: (millis) => `${millis}ms`
  })

/** One of a few words; only a flag sets it. */
export const choice = <A extends string>(description: Description<A>, choices: ReadonlyArray<A>): Setting<A> =>
  setting(description, {
    metavar: "choice",
    choices,
    hasVariable: false,
    read: (text) => {
      const value = choices.find((choice) => choice === text)
      return value === undefined
        ? unfit(text, choices.map((choice) => JSON.stringify(choice)).join(" | "))
        : Result.succeed(value)
    },
    write: (value) => value
  })

/** Any number of texts, separated by commas. Nothing between two commas is nothing: an empty text is the empty list. */
export const list = (
  description: Description<ReadonlyArray<string>>,
  metavar: string,
  /** Reads one of the texts; undefined when it will not do. */
  readOne: (text: string) => string | undefined,
  expected: string
): Setting<ReadonlyArray<string>> =>
  setting(description, {
    metavar,
    isRepeatable: true,
    read: (text) => {
      const values: Array<string> = []
      for (const part of text.split(",")) {
        if (part.trim() === "") continue
        const value = readOne(part.trim())
        if (value === undefined) return unfit(part, expected)
        values.push(value)
      }
      return Result.succeed(values)
    },
    write: (values) => values.join(",")
  })

export const unfit = (value: string, expected: string): Result.Result<never, Unfit> => Result.fail({ value, expected })
