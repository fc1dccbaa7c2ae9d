/**
 * Group commit: appends that wait for the same turn are judged in order and made durable by one write. Offsets are given
 * when a commit is put together, so a commit that fails leaves no hole.
 */
import { type Cause, Clock, Effect, Exit } from "effect"
import type { StorageError, StorageFull, TooManyStreams } from "../domain/errors.ts"
import { StorageFailed, StreamGone, type StreamNotFound } from "../domain/errors.ts"
import { CurrentLimits } from "../domain/limits.ts"
import { toRfc3339 } from "../domain/rfc3339.ts"
import type { StreamName } from "../domain/types.ts"
import { jsonType } from "../domain/types.ts"
import type { Batch, WaitingAppend } from "./append-batch.ts"
import { answerAll, answerOf, settle, toBatch } from "./append-batch.ts"
import { CurrentStreamCounts } from "./metrics.ts"
import type { OpenLog } from "./open-log.ts"
import { newId } from "./stream-config.ts"

/**
 * Commits the appends that are taken, on a log that `ensureCurrent` has checked if it is in doubt or due. Answers every
 * append except those that it returns: they must be judged again, before all others.
 */
export const makeGroupCommit = Effect.fnUntraced(function*(
  open: OpenLog,
  ensureCurrent: Effect.Effect<void, StorageError>
) {
  const clock = yield* Clock.Clock
  const { producersMax } = yield* CurrentLimits
  const counts = yield* CurrentStreamCounts
  const { name } = open
  const producers = () => open.countProducers()

  const write = (taken: ReadonlyArray<WaitingAppend>): Committing => {
    const { log, tail } = open
    if (log?.hidden === true) {
      answerAll(taken, Exit.fail(new StreamGone({ stream: name })))
      return nothingAgain
    }
    const createdAt = toRfc3339(clock.currentTimeMillisUnsafe())
    const description = log?.description
    const contentType = description?.contentType
    const before = { name, contentType, description, tail, state: log?.state ?? noState, producersMax, producers }
    const batch = toBatch(before, taken, createdAt)
    if (batch.accepted.length === 0) {
      settle(batch)
      return nothingAgain
    }
    const writing: Writing = log === undefined
      ? open.create({ name, contentType: jsonType, createdAt, id: newId() }, batch)
      : log.commit(batch)
    return Effect.matchCauseEffect(writing, {
      onSuccess: () => {
        if (log !== undefined) open.recordCommit(log, batch.events, batch.newProducers)
        counts.addAppends(batch.accepted.length)
        answerAccepted(batch)
        settle(batch)
        open.sleepers.wake()
        return nothingAgain
      },
      onFailure: (cause) =>
        Effect.map(explain(cause), (failure) => {
          answerAll(batch.accepted.map(([entry]) => entry), failure)
          // An append that was settled because of this failed commit must be judged again.
          return batch.settled.map(([entry]) => entry)
        })
    })
  }

  /** A log that was removed from under the server is gone: followers are told, and the next append begins anew. */
  const explain = (cause: Cause.Cause<Effect.Error<Writing>>) =>
    Effect.exit(
      Effect.catchTag(Effect.failCause(cause), "StreamNotFound", () =>
        Effect.andThen(
          open.reopenLost,
          Effect.suspend(() => Effect.fail(new StorageFailed({ message: lossMessage(name, open.log !== undefined) })))
        ))
    )

  return (taken: ReadonlyArray<WaitingAppend>): Committing =>
    open.isInDoubt || open.isDue()
      ? Effect.matchEffect(ensureCurrent, {
        onSuccess: () => write(taken),
        onFailure: (error) => {
          answerAll(taken, Exit.fail(error))
          return nothingAgain
        }
      })
      : write(taken)
})

type Committing = Effect.Effect<ReadonlyArray<WaitingAppend>>

type Writing = Effect.Effect<void, StorageError | StorageFull | TooManyStreams | StreamNotFound>

const nothingAgain: Committing = Effect.succeed([])

const noState: ReadonlyMap<string, string> = new Map()

const answerAccepted = ({ accepted, events }: Batch): void => {
  for (const [entry, first, isLast] of accepted) entry.done(Exit.succeed(answerOf(entry, events, first, isLast)))
}

const lossMessage = (name: StreamName, isReplaced: boolean) =>
  `The log of ${JSON.stringify(name)} was ${isReplaced ? "replaced" : "removed"} while the server was using it; ` +
  (isReplaced
    ? "the stream is what the file that is there now says. Look at it, and append again."
    : "its events are gone. The next append starts a new stream.")
