/**
 * Lines of stdin as groups of events, each of which is one append. A line that cannot become an event is named by its
 * number, and the good lines before it are appended all the same.
 */
import { Effect, Stream } from "effect"
import { fixedLimits } from "../../../domain/limits.ts"
import { WrongUsage } from "../exit.ts"
import { tell } from "../terminal.ts"
import { lineData } from "./event-text.ts"
import type { Line } from "./stdin-lines.ts"

/** The ways to go on after a line that cannot become an event. */
export const invalids = ["fail", "skip", "replace"] as const

export interface LineRules {
  readonly input: "auto" | "text" | "json"
  readonly invalid: typeof invalids[number]
  /** The largest body that the server takes. */
  readonly bodyBytesMax: number
}

/** The data of some lines, as it will be sent. */
export interface Group {
  readonly data: ReadonlyArray<string>
  /** Whether more is likely to follow: so much rarely comes alone. */
  readonly isLarge: boolean
}

/** A line, or all of them, would be more than the server takes. */
export class LinesTooLarge extends Error {
  readonly _tag = "LinesTooLarge"
}

/** A commit of this size costs little more for each event than a larger one, and is soon answered. */
const groupBytesMax = 256 * 1024

/** Half of the bytes that a pipe holds. */
const largeBytes = 32 * 1024

/** The bytes around the data of an event that is appended alone. */
const aroundBytes = `{"data":}`.length

/** So many faults are told one by one; the others are only counted. */
const toldMax = 10

/**
 * The groups of lines that arrived together. Fails at the first fault, behind the good lines; with `skip`, says at the end
 * how many lines were left out.
 */
export const groupsOf = <E, R, E2, R2>(
  lines: Stream.Stream<ReadonlyArray<Line>, E, R>,
  rules: Effect.Effect<LineRules, E2, R2>
): Stream.Stream<Group, E | E2 | WrongUsage | LinesTooLarge, R | R2> =>
  Stream.suspend(() => {
    let left = 0
    let isAnyGood = false
    const leaveOut = (fault: LineFault) => ++left > toldMax ? Effect.void : tell(`${fault.problem} It was left out.`)
    const groupLines = (arrived: ReadonlyArray<Line>, rules: LineRules) => {
      const max = Math.min(groupBytesMax, rules.bodyBytesMax)
      const groups: Array<Group> = []
      const faults: Array<LineFault> = []
      let data: Array<string> = []
      let bytes = 0
      const flush = () => {
        isAnyGood ||= data.length > 0
        if (data.length > 0) groups.push({ data, isLarge: bytes >= largeBytes })
        data = []
        bytes = 0
      }
      for (const line of arrived) {
        const event = eventOf(line, rules)
        if (typeof event !== "string") {
          faults.push(event)
          if (rules.invalid === "skip") continue
          break
        }
        const size = Buffer.byteLength(event) + 1
        if (bytes + size > max || data.length === fixedLimits.appendEventsMax) flush()
        data.push(event)
        bytes += size
      }
      flush()
      return { groups, faults }
    }
    return lines.pipe(
      Stream.mapEffect((arrived) => Effect.map(rules, (rules) => ({ rules, ...groupLines(arrived, rules) }))),
      Stream.flatMap(({ faults, groups, rules }) => {
        const end: Effect.Effect<ReadonlyArray<Group>, WrongUsage | LinesTooLarge> = rules.invalid === "skip"
          ? Effect.as(Effect.forEach(faults, leaveOut, { discard: true }), [])
          : faults.length === 0
          ? Effect.succeed([])
          : Effect.fail(faults[0]!.toError())
        return Stream.concat(Stream.fromIterable(groups), Stream.flattenIterable(Stream.fromEffect(end)))
      }),
      Stream.concat(Stream.flattenIterable(Stream.fromEffect(Effect.suspend(() =>
        left > 0 && !isAnyGood
          ? Effect.fail(new WrongUsage(`No line of stdin could become an event (${left} lines); nothing was appended.`))
          : Effect.as(left > toldMax ? tell(`${left} lines were left out.`) : Effect.void, [] as ReadonlyArray<Group>)
      ))))
    )
  })

/** All groups as one, for an append with a condition. */
export const oneGroupOf = <E, R>(
  groups: Stream.Stream<Group, E, R>,
  rules: Effect.Effect<LineRules, E, R>
): Effect.Effect<ReadonlyArray<string>, E | LinesTooLarge, R> =>
  Effect.suspend(() => {
    const all: Array<string> = []
    let bytes = 0
    return groups.pipe(
      Stream.runForEach(({ data }) =>
        Effect.flatMap(rules, ({ bodyBytesMax }) => {
          for (const event of data) bytes += Buffer.byteLength(event) + 1
          all.push(...data)
          return bytes - 1 <= bodyBytesMax ? Effect.void : Effect.fail(
            new LinesTooLarge(
              "With a condition, all lines of stdin are one append; they become more than the " +
                `${bodyBytesMax} bytes that the server takes. Nothing was appended.`
            )
          )
        })
      ),
      Effect.as(all)
    )
  })

interface LineFault {
  readonly problem: string
  readonly toError: () => WrongUsage | LinesTooLarge
}

/** The data of an event, or why there is none. */
const eventOf = (line: Line, { bodyBytesMax, input, invalid }: LineRules): string | LineFault => {
  const name = `Line ${line.number} of stdin`
  if (line.longerThan !== undefined) {
    return tooLarge(`${name} is too large: it has more than ${line.longerThan} bytes`, bodyBytesMax)
  }
  if (line.badByte !== undefined && invalid !== "replace") {
    const { byte, place } = line.badByte
    const problem = `${name} is not UTF-8: byte ${place} of it is 0x${byte.toString(16).padStart(2, "0")}.`
    const advice = "Convert it first, for example with iconv, or give --invalid skip or --invalid replace."
    return { problem, toError: () => new WrongUsage(`${problem} ${advice}`) }
  }
  const { data, fault } = lineData(line.text, input)
  if (data === undefined) {
    const problem = `${name}, ${JSON.stringify(line.text.slice(0, 60))}, is not JSON: ${fault}.`
    return { problem, toError: () => new WrongUsage(problem) }
  }
  const bytes = Buffer.byteLength(data) + aroundBytes
  if (bytes <= bodyBytesMax) return data
  return tooLarge(`${name} is too large: it becomes a request of ${bytes} bytes`, bodyBytesMax)
}

const tooLarge = (what: string, bodyBytesMax: number): LineFault => {
  const problem = `${what}, and the server takes ${bodyBytesMax}.`
  const advice = "Start the server with a larger --max-body, or give --invalid skip."
  return { problem, toError: () => new LinesTooLarge(`${problem} ${advice}`) }
}
