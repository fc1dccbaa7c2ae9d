/**
 * Following from far away: the connection is made again as often as it is lost (promise 4). Browser-safe.
 */
import { Effect, Schedule, Stream } from "effect"
import * as Sse from "effect/encoding/Sse"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type { Address } from "../api/wire.ts"
import { streamPath, toTarget } from "../api/wire.ts"
import type { Offset } from "../domain/types.ts"
import { offsetDigits, offsetStart } from "../domain/types.ts"
import { bytesOf, eventCharactersMax, isEventText, silenceMax } from "./answer-bounds.ts"
import type { ClientError, ServerRefused } from "./client-answers.ts"
import { accepted, isOther, ofType, problemOf, ServerUnreachable, strange, tooLarge } from "./client-answers.ts"
import type { Start } from "./client.ts"
import { queryOf, send } from "./requests.ts"

/** One event as the server wrote it. */
export interface EventText {
  readonly offset: Offset
  /** The offset behind it: where to go on. */
  readonly next: string
  readonly text: string
}

/**
 * What a follower who comes back is told that it cannot have, and where it goes on (promise 10). The events behind `next`
 * that it has seen are not in the stream any more, or not in this one.
 */
export type Gap =
  /** The stream ends before the place: its newest events are gone, as when a copy of it was put back. */
  | { readonly _tag: "TailMovedBack"; readonly next: string; readonly tail: string }
  /** The stream was made again under its name; it is read from its beginning. */
  | { readonly _tag: "OtherLife"; readonly next: string }

export interface FollowOptions {
  readonly start: Start
  /** Where the server is now; asked again at every reconnection, since it may have come back elsewhere. */
  readonly locate: Effect.Effect<string | Address, ServerUnreachable, HttpClient.HttpClient>
  /** The largest body the server takes, which bounds what an event can be; left out, the default. */
  readonly bodyBytesMax?: number | undefined
  /** Called once for each time the connection is lost. */
  readonly onLost?: Effect.Effect<void>
  /** Called with the offset of the next event for each connection; all but the first are `isBack`. */
  readonly onConnected?: (next: string, isBack: boolean) => Effect.Effect<void>
  /** Called before it goes on behind a gap. */
  readonly onGap?: (gap: Gap) => Effect.Effect<void>
}

/**
 * Catch-up, then live, each event once, until the stream is closed: when the connection is lost it is made again,
 * resuming behind the last event that was seen (promise 4). Where that place is gone, `onGap` is told before it goes on
 * with what is there (promise 10). Other refusals end it.
 */
export const follow = (
  name: string,
  options: FollowOptions
): Stream.Stream<EventText, ClientError, HttpClient.HttpClient> => {
  const { bodyBytesMax, locate, onConnected = () => Effect.void, onGap = () => Effect.void } = options
  const { onLost = Effect.void, start } = options
  let next: string | undefined
  /** The life that `next` belongs to; undefined while the stream is waited for, and of an earlier server. */
  let life: string | undefined
  let lost = false
  let failures = 0

  /** Asks for the events from `next` on; from what is there, if the place is gone. */
  const request: Effect.Effect<Followed, ClientError, HttpClient.HttpClient> = Effect.gen(function*() {
    const { base, meant } = toTarget(yield* locate)
    const query = queryOf(next === undefined ? start : { offset: next, life })
    const unreachable = (cause: unknown) => new ServerUnreachable({ url: base, cause })
    const url = `${base}${streamPath(name)}${query}`
    const request = HttpClientRequest.setHeader(HttpClientRequest.get(url), "accept", "text/event-stream")
    const response = yield* send(request, meant, unreachable).pipe(
      Effect.flatMap((response) => accepted(response, base)),
      Effect.flatMap(ofType("text/event-stream", base)),
      // What answers while the server is away may be a portal, or a proxy's page.
      Effect.mapError((error) => lost && error._tag === "AnswerUnusable" ? unreachable(error) : error),
      Effect.catchIf(isOther, (cause) => Effect.fail(new ServerUnreachable({ url: base, cause })))
    )
    return { base, response }
  })

  const followed: typeof request = Effect.catch(request, (error) => {
    if (next === undefined || !isLostPlace(error)) return Effect.fail(error)
    const gap = gapOf(error, next, life)
    next = gap._tag === "OtherLife" ? beginning : gap.tail
    life = undefined
    return Effect.andThen(onGap(gap), followed)
  })

  const connection = Effect.gen(function*() {
    const { base, response } = yield* followed
    const unreachable = (cause: unknown) => new ServerUnreachable({ url: base, cause })
    next ??= response.headers["stream-next-offset"]
    life = response.headers["stream-life"]
    if (next !== undefined) yield* onConnected(next, lost)
    lost = false
    failures = 0
    let closed = false
    return bytesOf(response, silenceMax, unreachable).pipe(
      Stream.decodeText(),
      Stream.pipeThroughChannel(Sse.decode({ maxEventSize: eventCharactersMax(bodyBytesMax) })),
      Stream.mapError((cause) => isEventTooLarge(cause) ? tooLarge(base) : unreachable(cause)),
      Stream.takeWhile(({ event }) => !(closed = event === "closed")),
      Stream.filter(({ data, event }) => {
        if (event === "connected") life = lifeIn(data)
        // An event of a name that is not known yet is no event of the stream.
        return event === "message" || event === "problem"
      }),
      Stream.mapEffect(({ data, event }): Effect.Effect<EventText, ClientError> => {
        if (event === "problem") return Effect.fail(problemOf(data))
        if (!isEventText(data)) return Effect.fail(strange(base))
        return Effect.sync(() => {
          const offset = data.slice(offsetStart, offsetStart + offsetDigits) as Offset
          next = (Number(offset) + 1).toString().padStart(offsetDigits, "0")
          return { offset, next, text: data }
        })
      }),
      // But for a closed stream, the server ends a following only to stop: whoever follows goes on with the next one.
      Stream.concat(
        Stream.suspend(() => closed ? Stream.empty : Stream.fail(new ServerUnreachable({ url: base, cause: "ended" })))
      )
    )
  })

  return Stream.unwrap(connection).pipe(
    Stream.tapError((error) =>
      Effect.suspend(() => {
        if (error._tag !== "ServerUnreachable" || lost) return Effect.void
        lost = true
        return onLost
      })
    ),
    Stream.retry(
      Schedule.forever.pipe(
        Schedule.modifyDelay(() => Effect.sync(() => pauseMillis(failures++))),
        Schedule.jittered,
        Schedule.setInputType<ClientError>(),
        Schedule.while(({ input }) => input._tag === "ServerUnreachable")
      )
    )
  )
}

const isEventTooLarge = (error: unknown): boolean =>
  error instanceof Sse.SseError && error.reason._tag === "EventTooLarge"

interface Followed {
  readonly base: string
  readonly response: HttpClientResponse.HttpClientResponse
}

const beginning = "0".repeat(offsetDigits)

const isLostPlace = (error: ClientError): error is ServerRefused =>
  error._tag === "ServerRefused" &&
  (error.problem["type"] === "urn:durable-streams:OffsetBeyondTail" ||
    error.problem["type"] === "urn:durable-streams:OtherLife")

/** Without a life of its own the stream is not there any more, and the next one of its name is another. */
const gapOf = ({ problem }: ServerRefused, next: string, life: string | undefined): Gap => {
  const { life: now, tail } = problem
  return typeof tail === "string" && now !== undefined && now === life
    ? { _tag: "TailMovedBack", next, tail }
    : { _tag: "OtherLife", next }
}

/** The life that a `connected` frame names; none while the stream is waited for. */
const lifeIn = (data: string): string | undefined => {
  const { life } = JSON.parse(data) as { readonly life: string | null }
  return life ?? undefined
}

/** Soon at first, since most restarts take a moment; then every two seconds, which costs nobody anything. */
const pauseMillis = (failures: number): number => Math.min(100 * 2 ** failures, 2_000)
