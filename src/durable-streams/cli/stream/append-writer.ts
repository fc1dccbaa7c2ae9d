/**
 * Appends one group of lines after the other, each exactly once, also if the server restarts in between: the command is a
 * producer of its own, so that it can send a group again whose answer was lost.
 */
import { Duration, Effect, Schedule } from "effect"
import { isCausedBy, ServerRefused } from "../../../client/client-answers.ts"
import type { Conditions } from "../../../client/client.ts"
import { tell } from "../terminal.ts"
import type { Group } from "./append-lines.ts"

/** Appends the data and returns the server's answer. */
export type Send<E, R> = (
  data: ReadonlyArray<string>,
  conditions: Conditions | undefined
) => Effect.Effect<string, E, R>

/**
 * Makes a writer of groups, which must be called one after the other. It waits for a server that is lost, and fails with
 * the server's refusals.
 *
 * A small first group may be all there is (`echo … | stream append`) and is not numbered: a stream remembers each of its
 * producers for good, and only so many. If its answer is lost, the command fails and says so.
 */
export const makeWriter = <E, R>(send: Send<E, R>) => {
  let producer: { readonly id: string; seq: number } | undefined
  let isFirst = true
  let isRefused = false

  return (group: Group): Effect.Effect<string, E, R> =>
    Effect.suspend(() => {
      if ((!isFirst || group.isLarge) && !isRefused) producer ??= { id: newId(), seq: 0 }
      const attempt = Effect.suspend(() =>
        send(group.data, producer && { producer: { id: producer.id, epoch: 0, seq: producer.seq } })
      ).pipe(
        Effect.catchIf((error) => producer !== undefined && isRefusedAs("TooManyProducers", error), () => {
          isRefused = true
          producer = undefined
          return Effect.andThen(
            tell("The stream takes no more producers: from here on, a group whose answer is lost is not sent again."),
            send(group.data, undefined)
          )
        }),
        // The stream was made anew and does not know this producer: the group is not in it.
        Effect.catchIf((error) => (producer?.seq ?? 0) > 0 && isRefusedAs("ProducerGap", error), () => {
          producer = { id: newId(), seq: 0 }
          return Effect.andThen(
            tell("The stream was made anew while this command wrote to it; going on with the new one."),
            send(group.data, { producer: { id: producer.id, epoch: 0, seq: 0 } })
          )
        })
      )
      return outlast(attempt, () => producer !== undefined).pipe(
        Effect.tap(() =>
          Effect.sync(() => {
            isFirst = false
            if (producer !== undefined) producer.seq++
          })
        )
      )
    })
}

const newId = (): string => `durable-streams-append-${crypto.randomUUID()}`

/** Tries again as long as the server is away. An append that may have been stored is sent again only if it `mayRepeat`. */
const outlast = <E, R>(
  attempt: Effect.Effect<string, E, R>,
  mayRepeat: () => boolean
): Effect.Effect<string, E, R> =>
  Effect.suspend(() => {
    let isToldLost = false
    const tellLost = Effect.suspend(() => {
      if (isToldLost) return Effect.void
      isToldLost = true
      return tell("Lost the server; waiting for it to come back.")
    })
    return attempt.pipe(
      Effect.tapError((error) => isLost(error, mayRepeat()) ? tellLost : Effect.void),
      Effect.retry({ while: (error) => isLost(error, mayRepeat()), schedule: retrySchedule }),
      Effect.tap(() => isToldLost ? tell("Back again, going on.") : Effect.void)
    )
  })

/** Soon at first, since most restarts take a moment; then every two seconds. */
const retrySchedule = Schedule.exponential("100 millis").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(2)))),
  Schedule.jittered
)

/** No server was there; or, if the append may be repeated, the server left before its answer, or a proxy says so. */
const isLost = (error: unknown, mayRepeat: boolean): boolean => {
  const tag = (error as { readonly _tag?: unknown } | undefined)?._tag
  if (tag === "NotRunning" || isCausedBy(error, "ECONNREFUSED")) return true
  if (!mayRepeat) return false
  if (error instanceof ServerRefused) {
    return [502, 503, 504].includes(error.status) && error.problem["type"] === undefined
  }
  return tag === "ServerUnreachable"
}

const isRefusedAs = (type: string, error: unknown): boolean =>
  error instanceof ServerRefused && error.problem["type"] === `urn:durable-streams:${type}`
