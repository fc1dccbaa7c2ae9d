/**
 * The flags that say how a server runs, with the environment variables that stand in for them.
 */
import { Config, Effect, Option } from "effect"
import { CliError, Flag } from "effect/cli"
import { resolveDirectory } from "../../data-directory/paths.ts"
import { durationMillis } from "../../domain/durations.ts"
import type { Limits } from "../../domain/limits.ts"
import type { Found } from "../daemon.ts"
import type { ServerSettings } from "../server/settings.ts"
import { defaults, toAllowedHost, toOrigin } from "../server/settings.ts"
import { checkBareVariables } from "./bare-variables.ts"
import { WrongUsage } from "./exit.ts"
import { givenLimits, limitFlags, limitsOfEnvironment } from "./limit-flags.ts"

export const dataDirectoryFlag = Flag.String("data-dir").pipe(
  Flag.withDescription("Where the server keeps its files (DURABLE_STREAMS_DATA_DIR)"),
  Flag.withMetavar("directory"),
  Flag.withFallbackConfig(Config.String("DURABLE_STREAMS_DATA_DIR")),
  Flag.withDefault(defaults.dataDirectory),
  // Nothing would be the current directory itself.
  Flag.mapEffect((text) => text === "" ? invalid("data-dir", text, "a directory") : Effect.succeed(text)),
  Flag.map(resolveDirectory)
)

function invalid(option: string, value: string, expected: string) {
  return Effect.fail(new CliError.InvalidValue({ option, value, expected, kind: "flag" }))
}

const toPort = (text: string) => {
  if (!/^-?\d+$/.test(text)) return invalid("port", text, "a number")
  const port = Number(text)
  return port >= 0 && port <= 65535 ? Effect.succeed(port) : invalid("port", text, "a value between 0 and 65535")
}

/** With or without the brackets that an IPv6 address has in a URL. Nothing would be every address of the machine. */
const toHost = (text: string) =>
  text === "" ? invalid("host", text, "an address") : Effect.succeed(text.replace(/^\[([0-9a-f:.]+)\]$/i, "$1"))

/** Nothing between two commas is nothing: an empty value lets nobody in. */
const toOrigins = (texts: string | ReadonlyArray<string>) =>
  Effect.forEach([texts].flat().flatMap((text) => text.split(",")).filter((text) => text.trim() !== ""), (text) => {
    const origin = toOrigin(text.trim())
    return origin === undefined
      ? invalid(
        "cors-origin",
        text,
        "it is no origin: write scheme://host or scheme://host:port and nothing else, or *"
      )
      : Effect.succeed(origin)
  })

const toAllowedHosts = (texts: string | ReadonlyArray<string>) =>
  Effect.forEach([texts].flat().flatMap((text) => text.split(",")).filter((text) => text.trim() !== ""), (text) => {
    const host = toAllowedHost(text.trim())
    return host === undefined
      ? invalid("allow-host", text, "it is no name: write the host without scheme, port or path, or *")
      : Effect.succeed(host)
  })

const toLongPollMillis = (text: string) => {
  const millis = durationMillis(/^\d+$/.test(text) ? `${text}s` : text) ?? 0
  return millis >= 1 && millis <= longPollMillisMax
    ? Effect.succeed(millis)
    : invalid("long-poll-timeout", text, "it is no time from 1ms to 1h: write seconds (30), or 500ms, 30s, 2m")
}

/** Whoever waits longer can ask again. */
const longPollMillisMax = 60 * 60 * 1000

const portVariable = "DURABLE_STREAMS_PORT"
const hostVariable = "DURABLE_STREAMS_HOST"
const corsVariable = "DURABLE_STREAMS_CORS_ORIGIN"
const allowHostVariable = "DURABLE_STREAMS_ALLOW_HOST"
const longPollVariable = "DURABLE_STREAMS_LONG_POLL_TIMEOUT"

export const settingsFlags = {
  port: Flag.String("port").pipe(
    Flag.withDescription(
      `Port to listen on (DURABLE_STREAMS_PORT); left out: ${defaults.port}, or a free one if that is taken`
    ),
    Flag.withMetavar("integer"),
    Flag.withFallbackConfig(Config.String(portVariable)),
    Flag.mapEffect(toPort),
    Flag.optional
  ),
  host: Flag.String("host").pipe(
    Flag.withDescription(`Address to listen on (DURABLE_STREAMS_HOST); left out: ${defaults.host}`),
    Flag.withFallbackConfig(Config.String(hostVariable)),
    Flag.mapEffect(toHost),
    Flag.optional
  ),
  storage: Flag.Literals("storage", ["fs", "memory"]).pipe(
    Flag.withDescription(`Keep streams in files, or in memory until the server stops; left out: ${defaults.storage}`),
    Flag.optional
  ),
  durability: Flag.Literals("durability", ["fsync", "os"]).pipe(
    Flag.withDescription(
      `Answer an append when its bytes are on the disk, or when the system has them; left out: ${defaults.durability}`
    ),
    Flag.optional
  ),
  limits: limitFlags,
  corsOrigins: Flag.String("cors-origin").pipe(
    Flag.withDescription(
      `Let web pages of this origin use the server, or of all (*); may be repeated (${corsVariable}, with commas); ` +
        "left out: only pages of this machine"
    ),
    Flag.withMetavar("origin"),
    Flag.atLeast(1),
    Flag.withFallbackConfig(Config.String(corsVariable)),
    Flag.mapEffect(toOrigins),
    Flag.optional
  ),
  allowHosts: Flag.String("allow-host").pipe(
    Flag.withDescription(
      `Answer to requests for this host name, too, or for all (*); may be repeated (${allowHostVariable}, with commas); ` +
        "left out: only to localhost and addresses"
    ),
    Flag.withMetavar("name"),
    Flag.atLeast(1),
    Flag.withFallbackConfig(Config.String(allowHostVariable)),
    Flag.mapEffect(toAllowedHosts),
    Flag.optional
  ),
  longPollMillis: Flag.String("long-poll-timeout").pipe(
    Flag.withDescription(
      `How long a long-poll waits for news (${longPollVariable}), in seconds, or as 500ms, 2m; ` +
        `left out: ${defaults.longPollMillis / 1000}`
    ),
    Flag.withMetavar("time"),
    Flag.withFallbackConfig(Config.String(longPollVariable)),
    Flag.mapEffect(toLongPollMillis),
    Flag.optional
  ),
  dataDirectory: dataDirectoryFlag
}

/** What was asked for; the rest is left to `base`. */
export type Input =
  & {
    readonly [Key in Exclude<keyof ServerSettings, "dataDirectory" | "limits" | "bodyBytesMax">]: Option.Option<
      Given<Key>
    >
  }
  & { readonly dataDirectory: string; readonly limits: { readonly [Key in keyof Limits]: Option.Option<number> } }
type Given<Key extends keyof ServerSettings> = Exclude<ServerSettings[Key], undefined>
type Base = Omit<ServerSettings, "dataDirectory">

export const toSettings = (input: Input, base: Base = { ...defaults, port: undefined }): ServerSettings => {
  const { bodyBytesMax = base.bodyBytesMax, ...limits } = givenLimits(input.limits)
  return {
    host: Option.getOrElse(input.host, () => base.host),
    port: Option.getOrElse(input.port, () => base.port),
    dataDirectory: input.dataDirectory,
    storage: Option.getOrElse(input.storage, () => base.storage),
    durability: Option.getOrElse(input.durability, () => base.durability),
    bodyBytesMax,
    limits: { ...base.limits, ...limits },
    corsOrigins: Option.getOrElse(input.corsOrigins, () => base.corsOrigins),
    allowHosts: Option.getOrElse(input.allowHosts, () => base.allowHosts ?? []),
    longPollMillis: Option.getOrElse(input.longPollMillis, () => base.longPollMillis)
  }
}

/** What a running server was started with. */
export const settingsOf = ({ health, port }: Found): Base => {
  const { bodyBytesMax, fixed: _, ...limits } = health.limits
  return {
    host: health.host,
    port,
    storage: health.storage === "memory" ? "memory" : "fs",
    durability: health.durability === "os" ? "os" : "fsync",
    bodyBytesMax,
    limits,
    corsOrigins: health.corsOrigins,
    allowHosts: health.allowHosts ?? [],
    longPollMillis: health.longPollMillis
  }
}

/** A server that nobody asked for by name: on loopback, and otherwise as the environment says. */
export const localSettings = Effect.fnUntraced(function*(dataDirectory: string) {
  const base = { ...defaults, port: undefined, dataDirectory }
  yield* checkBareVariables
  const { bodyBytesMax = base.bodyBytesMax, ...limits } = yield* limitsOfEnvironment
  // The server that is started reads these two itself; a value that will not do is told before one is.
  yield* placeOfEnvironment
  return {
    ...base,
    bodyBytesMax,
    limits,
    corsOrigins: yield* fromEnvironment(corsVariable, toOrigins, base.corsOrigins),
    allowHosts: yield* fromEnvironment(allowHostVariable, toAllowedHosts, base.allowHosts),
    longPollMillis: yield* fromEnvironment(longPollVariable, toLongPollMillis, base.longPollMillis)
  } satisfies ServerSettings
})

/** Where a server that is started by name would listen; the port is undefined when none is asked for. */
export const placeOfEnvironment = Effect.suspend(() =>
  Effect.all({
    host: fromEnvironment(hostVariable, toHost, defaults.host as string),
    port: fromEnvironment<number | undefined>(portVariable, toPort, undefined)
  })
)

const fromEnvironment = <A>(
  variable: string,
  parse: (text: string) => Effect.Effect<A, CliError.InvalidValue>,
  otherwise: A
) =>
  Effect.flatMap(
    Effect.orDie(Config.option(Config.String(variable))),
    (text) => Option.isNone(text) ? Effect.succeed(otherwise) : parse(text.value)
  ).pipe(
    Effect.mapError(({ expected, value }) =>
      new WrongUsage(
        `The value ${JSON.stringify(value)} of ${variable} will not do: ${
          expected.startsWith("it ") ? "" : "expected "
        }${expected}.`
      )
    )
  )
