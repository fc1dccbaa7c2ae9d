/**
 * Lines of stdin, in the groups in which they arrive: what is there at once becomes one commit, and a line that comes
 * alone waits for nobody.
 */
import { Effect, Stream } from "effect"
import { fixedLimits } from "../limits.ts"
import { WrongUsage } from "./exit.ts"

/** Well below the server's default limit for a body. */
const groupCharactersMax = 256 * 1024

/** Groups of lines without their line ends; empty lines are left out. Fails when the bytes are not UTF-8. */
export const stdinLines: Stream.Stream<ReadonlyArray<string>, WrongUsage> = Stream.suspend(() => {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let rest = ""
  const split = (text: string, isLast: boolean) => {
    const lines = (rest + text).split(/\r?\n/)
    rest = isLast ? "" : lines.pop()!
    return grouped(lines.filter((line) => line !== ""))
  }
  const decoding = (decode: () => string, isLast: boolean) =>
    Effect.try({
      try: () => split(decode(), isLast),
      catch: () => new WrongUsage("stdin is not UTF-8 text. Convert it first, for example with iconv.")
    })
  return Stream.fromAsyncIterable(process.stdin as AsyncIterable<Uint8Array>, () => new WrongUsage("stdin failed."))
    .pipe(
      Stream.mapEffect((chunk) => decoding(() => decoder.decode(chunk, { stream: true }), false)),
      Stream.concat(Stream.fromEffect(Effect.suspend(() => decoding(() => decoder.decode(), true)))),
      Stream.flatMap(Stream.fromIterable)
    )
})

const grouped = (lines: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> => {
  const groups: Array<Array<string>> = []
  let size = Infinity
  for (const line of lines) {
    if (size + line.length > groupCharactersMax || groups.at(-1)!.length === fixedLimits.appendEventsMax) {
      groups.push([])
      size = 0
    }
    groups.at(-1)!.push(line)
    size += line.length
  }
  return groups
}
