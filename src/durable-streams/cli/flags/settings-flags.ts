/**
 * The settings of a server as flags, and the environment variables that stand in for them.
 */
import { Config, Effect, Option, Result } from "effect"
import { CliError, Flag } from "effect/cli"
import { resolveDirectory } from "../../../data-directory/paths.ts"
import type { Setting, SettingTable, Unfit } from "../../../domain/setting.ts"
import type { ServerSettings, SettingsAt } from "../../server/settings.ts"
import { CurrentSettings, settings } from "../../server/settings.ts"
import { reasonOf, valueSentence, WrongUsage } from "../exit.ts"
import { checkBareVariables } from "./bare-variables.ts"

/** The text of a variable that stands in for a flag. */
class VariableText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const flagOf = <A>(setting: Setting<A>): Flag.Flag<Option.Option<A>> => {
  const { choices, flag, help, isRepeatable, metavar, variable } = setting
  const text: Flag.Flag<string> = choices === undefined
    ? Flag.String(flag).pipe(Flag.withMetavar(metavar))
    : Flag.Literals(flag, choices)
  const described = Flag.withDescription(text, help)
  const texts: Flag.Flag<string> = isRepeatable
    ? described.pipe(Flag.atLeast(1), Flag.map((texts) => texts.join(",")))
    : described
  const either: Flag.Flag<string | VariableText> = variable === undefined
    ? texts
    : Flag.withFallbackConfig(texts, Config.map(Config.String(variable), (text) => new VariableText(text)))
  return either.pipe(
    Flag.mapEffect((given) => {
      const isVariable = given instanceof VariableText
      const option = isVariable && variable !== undefined ? variable : flag
      return Result.match(setting.read(isVariable ? given.text : given), {
        onSuccess: (value) => Effect.succeed(value),
        onFailure: ({ expected, value }) =>
          Effect.fail(new CliError.InvalidValue({ option, value, expected, kind: "flag" }))
      })
    }),
    Flag.optional
  )
}

/** Every command has it. */
export const dataDirectoryFlag: Flag.Flag<string> = flagOf(settings.dataDirectory).pipe(
  Flag.map(Option.getOrElse(() => resolveDirectory(settings.dataDirectory.default)))
)

/** The flags of a command that starts a server. */
export const settingsFlags = ({ dataDirectory: _, ...table }: SettingTable) => ({
  settings: Object.fromEntries(Object.entries(table).map(([key, setting]) => [key, flagOf(setting)])),
  dataDirectory: dataDirectoryFlag
})

export interface Input {
  readonly settings: Readonly<Record<string, Option.Option<unknown>>>
  readonly dataDirectory: string
}

/** The settings that were asked for; `base` has the rest. */
export const toSettings = (input: Input, base: ServerSettings = {}): SettingsAt => {
  const given = Object.entries(input.settings).flatMap(([key, value]) =>
    Option.toArray(value).map((value) => [key, value] as const)
  )
  return { ...base, ...Object.fromEntries(given), dataDirectory: input.dataDirectory }
}

/** A server that a stream command starts: on loopback, and otherwise as the environment says. */
export const localSettings = Effect.fnUntraced(function*(dataDirectory: string) {
  yield* checkBareVariables
  const { dataDirectory: _, ...table } = yield* CurrentSettings
  const given: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries(table)) {
    const value = yield* fromEnvironment(setting)
    if (Option.isSome(value)) given[key] = value.value
  }
  return { ...given, host: settings.host.default, dataDirectory } satisfies SettingsAt
})

/** The address of a server that `server start` would start; the port is undefined when the variable is not set. */
export const placeOfEnvironment = Effect.suspend(() =>
  Effect.all({
    host: Effect.map(fromEnvironment(settings.host), Option.getOrElse(() => settings.host.default)),
    port: Effect.map(fromEnvironment(settings.port), Option.getOrUndefined)
  })
)

const fromEnvironment = <A>({ read, variable }: Setting<A>): Effect.Effect<Option.Option<A>, WrongUsage> =>
  variable === undefined
    ? Effect.succeedNone
    : Effect.flatMap(
      Effect.orDie(Config.option(Config.String(variable))),
      Option.match({
        onNone: () => Effect.succeedNone,
        onSome: (text) =>
          Result.match(read(text), {
            onSuccess: (value) => Effect.succeedSome(value),
            onFailure: ({ expected, value }: Unfit) =>
              Effect.fail(new WrongUsage(valueSentence(variable, value, reasonOf(expected))))
          })
      })
    )
