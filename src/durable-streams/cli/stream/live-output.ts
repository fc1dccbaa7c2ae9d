/**
 * Events of a stream, printed as they come.
 */
import { Effect, Stream } from "effect"
import type { FollowOptions } from "../../../client/follow.ts"
import { follow } from "../../../client/follow.ts"
import { awaitReaderGone } from "../../process/stdout.ts"
import type { connect } from "../connection.ts"
import { printAsIs, tell } from "../terminal.ts"
import { gapText } from "./gap-text.ts"

export const contentTypeOf = (ask: Ask, name: string) =>
  Effect.map(ask((client) => client.info(name)), ({ contentType }) => contentType)

type Ask = Effect.Success<ReturnType<typeof connect>>

/** Prints events as they come, until the reader of stdout leaves; if interrupted, prints the next offset. */
export const printLive = <E, R>(
  name: string,
  options: FollowOptions,
  limit: number | undefined,
  show: (texts: ReadonlyArray<string>) => Effect.Effect<string | Uint8Array, E, R>
) => {
  let next: string | undefined
  const events = follow(name, {
    ...options,
    onLost: tell("Lost the server; waiting for it to come back."),
    onConnected: (offset, isBack) =>
      Effect.suspend(() => {
        next ??= offset
        return isBack ? tell(`Back again, going on at offset ${offset}.`) : Effect.void
      }),
    onGap: (gap) =>
      Effect.suspend(() => {
        next = undefined
        return tell(gapText(gap))
      })
  }).pipe(limit === undefined ? (events) => events : Stream.take(limit))
  return events.pipe(
    Stream.runForEachArray((events) =>
      Effect.andThen(
        Effect.flatMap(show(events.map(({ text }) => text)), printAsIs),
        Effect.sync(() => next = events.at(-1)?.next ?? next)
      )
    ),
    Effect.raceFirst(awaitReaderGone),
    Effect.onInterrupt(() => next === undefined ? Effect.void : tell(`Next offset: ${next}`))
  )
}
