/**
 * What is read of a server's answer: no more than an answer of ours can hold, for no longer than one of ours takes. The
 * server may be another program, or a hostile one. Browser-safe.
 */
import { Array as Arr, Data, Effect, Runtime, Stream } from "effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { exitCodes } from "../domain/exit-codes.ts"
import { createdAtTail } from "../domain/types.ts"

/** What answers at this address is not what a server of ours says; `problem` is the rest of the sentence. */
export class AnswerUnusable extends Data.TaggedError("AnswerUnusable")<{
  readonly url: string
  readonly problem: string
}> {
  override readonly [Runtime.errorExitCode] = exitCodes.unreachable

  override get message() {
    return `What answers at ${this.url} ${this.problem}`
  }
}

/** A refusal of ours has some hundred bytes; one that lists what is left, some thousand. */
export const refusalBytesMax = 64 * 1024

/** `/health` of a server with many origins. */
export const healthBytesMax = 1024 * 1024

/** How long an answer may take to begin, and a short one to end: a server waits 30 seconds for a request, by default. */
export const answerTimeout = "2 minutes"

/** How long a following may be silent: four times as long as from one keep-alive to the next. */
export const silenceMax = "1 minute"

/** The longest name a server of ours gives, in JSON with every character escaped; ten times over. */
export const nameCharactersMax = 32 * 1024

/**
 * The longest text of an event, in characters, from a server that takes bodies of so many bytes: bytes become JSON text of
 * twice their length at most. The floor is for events from a time when the server took larger bodies; the ceiling is the
 * longest string there can be.
 */
export const eventCharactersMax = (bodyBytesMax = 0): number =>
  Math.min(Math.max(2 * bodyBytesMax + 64 * 1024, 64 * 1024 * 1024), 2 ** 29 - 1024)

/** Whether it has the parts of an event's text at their places (types.ts `sliceEvent`); the data itself is not looked at. */
export const isEventText = (text: string): boolean => {
  eventTail.lastIndex = text.length - createdAtTail.length
  return eventHead.test(text.length > nameCharactersMax ? text.slice(0, nameCharactersMax) : text) &&
    eventTail.test(text)
}

const eventHead = /^\{"offset":"\d{16}","eventStreamId":"(?:[^"\\]|\\.)+","data":[^,}]/
const eventTail = /,"createdAt":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}$/y

/** The bytes of an answer; fails when nothing comes for `timeout`. */
export const bytesOf = <E>(
  response: HttpClientResponse.HttpClientResponse,
  timeout: typeof answerTimeout | typeof silenceMax,
  unreachable: (cause: unknown) => E
): Stream.Stream<Uint8Array, E> =>
  response.stream.pipe(
    Stream.mapError(unreachable),
    Stream.timeoutOrElse({ duration: timeout, orElse: () => Stream.fail(unreachable("silent")) })
  )

/** A short answer as text; fails with `tooLarge` for a longer one. */
export const textOf = <E>(
  response: HttpClientResponse.HttpClientResponse,
  bytesMax: number,
  unreachable: (cause: unknown) => E,
  tooLarge: () => E
): Effect.Effect<string, E> => {
  const parts: Array<Uint8Array> = []
  let length = 0
  return bytesOf(response, answerTimeout, unreachable).pipe(
    Stream.runForEach((part) => {
      parts.push(part)
      length += part.length
      return length > bytesMax ? Effect.fail(tooLarge()) : Effect.void
    }),
    Effect.timeoutOrElse({ duration: answerTimeout, orElse: () => Effect.fail(unreachable("silent")) }),
    Effect.map(() => {
      const decoder = new TextDecoder()
      return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode()
    })
  )
}

/**
 * The lines of a text; the last one needs no line end. Each character is looked at once, however the text arrives. When a
 * line is longer than the floor of `eventCharactersMax`, `charactersMax` is asked, and one that is longer still fails.
 */
export const linesOf = <E, E2, R2>(
  text: Stream.Stream<string, E>,
  charactersMax: Effect.Effect<number, E2, R2>,
  tooLarge: (charactersMax: number) => E
): Stream.Stream<string, E | E2, R2> =>
  Stream.suspend(() => {
    const floor = eventCharactersMax()
    let max: number | undefined
    let parts: Array<string> = []
    let length = 0
    const check = Effect.gen(function*() {
      max ??= yield* charactersMax
      if (length > max) return yield* Effect.fail(tooLarge(max))
    })
    const take = (part: string): ReadonlyArray<string> => {
      const lines = part.split("\n")
      if (lines.length > 1) {
        lines[0] = parts.join("") + lines[0]!
        parts = []
        length = 0
      }
      const rest = lines.pop()!
      parts.push(rest)
      length += rest.length
      return lines
    }
    return text.pipe(
      Stream.mapEffect((part) => {
        const lines = take(part)
        return length > floor ? Effect.as(check, lines) : Effect.succeed(lines)
      }),
      Stream.concat(Stream.sync(() => length === 0 ? [] : [parts.join("")])),
      Stream.filter(Arr.isReadonlyArrayNonEmpty),
      Stream.flattenArray
    )
  })
