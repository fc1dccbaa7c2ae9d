/**
 * Logs: one line each, on stderr. JSON where a program reads them (daemon.log), words where a person does. What is logged
 * names streams, offsets and durations, never a payload.
 */
import type { Layer } from "effect"
import { Cause, DateTime, Logger, References } from "effect"

/** JSON lines. */
export const layerJson: Layer.Layer<never> = Logger.layer([
  Logger.make((options) =>
    write(JSON.stringify({
      time: DateTime.formatIso(DateTime.fromDateUnsafe(options.date)),
      level: options.logLevel.toLowerCase(),
      message: messageOf(options.message),
      ...annotationsOf(options),
      ...(options.cause.reasons.length === 0 ? {} : { cause: Cause.pretty(options.cause) })
    }))
  )
])

/** Readable lines. */
export const layerReadable: Layer.Layer<never> = Logger.layer([
  Logger.make((options) => {
    const time = DateTime.formatIso(DateTime.fromDateUnsafe(options.date)).slice(11, 23)
    const fields = Object.entries(annotationsOf(options)).map(([key, value]) => ` ${key}=${String(value)}`)
    const cause = options.cause.reasons.length === 0 ? "" : ` ${Cause.pretty(options.cause).replaceAll("\n", " | ")}`
    return write(`${time} ${options.logLevel.padEnd(5)} ${messageOf(options.message)}${fields.join("")}${cause}`)
  })
])

const write = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const messageOf = (message: unknown): string =>
  (Array.isArray(message) ? message : [message]).map((part) =>
    typeof part === "string" ? part : Cause.isCause(part) ? Cause.pretty(part) : JSON.stringify(part)
  ).join(" ")

const annotationsOf = (options: Logger.Options<unknown>): Readonly<Record<string, unknown>> =>
  options.fiber.getRef(References.CurrentLogAnnotations)
