/**
 * The limits as flags, with the environment variables that stand in for them.
 */
import { Config, Effect, Option } from "effect"
import { CliError, Flag } from "effect/cli"
import type { Limits } from "../../domain/limits.ts"
import {
  defaultText,
  limitExpected,
  limitKeys,
  limitSettings,
  limitValue,
  variableOf
} from "../server/limit-settings.ts"
import { WrongUsage } from "./exit.ts"

const toLimit = (key: keyof Limits) => (text: string) => {
  const value = limitValue(key, text)
  return value === undefined
    ? Effect.fail(
      new CliError.InvalidValue({
        option: limitSettings[key].flag,
        value: text,
        expected: limitExpected(key),
        kind: "flag"
      })
    )
    : Effect.succeed(value)
}

const limitFlag = (key: keyof Limits) =>
  Flag.String(limitSettings[key].flag).pipe(
    Flag.withDescription(`${limitSettings[key].about} (${variableOf(key)}); left out: ${defaultText(key)}`),
    Flag.withMetavar(limitSettings[key].unit),
    Flag.withFallbackConfig(Config.String(variableOf(key))),
    Flag.mapEffect(toLimit(key)),
    Flag.optional
  )

export const limitFlags: { readonly [Key in keyof Limits]: ReturnType<typeof limitFlag> } = {
  bodyBytesMax: limitFlag("bodyBytesMax"),
  bodiesBytesMax: limitFlag("bodiesBytesMax"),
  headersMillis: limitFlag("headersMillis"),
  requestMillis: limitFlag("requestMillis"),
  stallMillis: limitFlag("stallMillis"),
  connectionsMax: limitFlag("connectionsMax"),
  followersMax: limitFlag("followersMax"),
  streamsMax: limitFlag("streamsMax"),
  awakeMax: limitFlag("awakeMax"),
  producersMax: limitFlag("producersMax")
}

/** Those of the flags that were given. */
export const givenLimits = (flags: { readonly [Key in keyof Limits]: Option.Option<number> }): Partial<Limits> =>
  Object.fromEntries(limitKeys.flatMap((key) => Option.toArray(flags[key]).map((value) => [key, value])))

/** Those that the environment sets. */
export const limitsOfEnvironment = Effect.gen(function*() {
  const limits: { -readonly [Key in keyof Limits]?: number } = {}
  for (const key of limitKeys) {
    const text = yield* Effect.orDie(Config.option(Config.String(variableOf(key))))
    if (Option.isNone(text)) continue
    const value = limitValue(key, text.value)
    if (value === undefined) {
      return yield* Effect.fail(
        new WrongUsage(
          `The value ${JSON.stringify(text.value)} of ${variableOf(key)} will not do: ${limitExpected(key)}.`
        )
      )
    }
    limits[key] = value
  }
  return limits
})
