/**
 * Logs: one line each, on stderr. JSON for programs (daemon.log), words for a person. A line names streams, offsets and
 * durations, never a payload.
 */
import type { Layer } from "effect"
import { Cause, DateTime, Logger, References } from "effect"
import { toVisible } from "../../domain/visible-text.ts"

interface Line {
  readonly date: Date
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause?: string
}

const logger = (text: (line: Line) => string): Layer.Layer<never> =>
  Logger.layer([
    Logger.make(({ cause, date, fiber, logLevel, message }) =>
      write({
        date,
        level: logLevel,
        message: messageOf(message),
        fields: fiber.getRef(References.CurrentLogAnnotations),
        ...(cause.reasons.length === 0 ? {} : { cause: Cause.pretty(cause) })
      }, text)
    )
  ])

/** JSON lines. */
export const layerJson: Layer.Layer<never> = logger(({ cause, date, fields, level, message }) =>
  JSON.stringify({
    time: DateTime.formatIso(DateTime.fromDateUnsafe(date)),
    level: level.toLowerCase(),
    message,
    ...fields,
    ...(cause === undefined ? {} : { cause })
  })
)

/** Readable lines. */
export const layerReadable: Layer.Layer<never> = logger(({ cause, date, fields, level, message }) => {
  const time = DateTime.formatIso(DateTime.fromDateUnsafe(date)).slice(11, 23)
  const values = Object.entries(fields).map(([key, value]) => ` ${key}=${String(value)}`)
  const why = cause === undefined ? "" : ` ${cause.replaceAll("\n", " | ")}`
  return `${time} ${level.padEnd(5)} ${message}${values.join("")}${why}`
})

/** The most bytes that wait for the reader of a pipe who does not read: some thousand lines. */
const waitingMax = 1024 * 1024

let dropped = 0

/** Drops a line when the reader takes none, and writes the count of dropped lines before the next line. */
const write = (line: Line, text: (line: Line) => string): void => {
  if (process.stderr.writableLength > waitingMax) return void dropped++
  const count = dropped
  dropped = 0
  if (count > 0) {
    const message = "Lines of the log were dropped, because their reader took none"
    print(text({ date: line.date, level: "Warn", message, fields: { count } }))
  }
  print(text(line))
}

/** A name or a reason from elsewhere may hold characters that a terminal obeys; escaped, it is the same JSON. */
const print = (line: string) => process.stderr.write(`${toVisible(line)}\n`)

const messageOf = (message: unknown): string =>
  (Array.isArray(message) ? message : [message]).map((part) =>
    typeof part === "string" ? part : Cause.isCause(part) ? Cause.pretty(part) : JSON.stringify(part)
  ).join(" ")
