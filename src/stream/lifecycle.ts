/**
 * How a stream begins and ends: it is created, is deleted, or expires (docs/protocol.md 10). Everything here runs in
 * the writer's turn.
 */
import { Clock, Effect } from "effect"
import type { StorageError } from "../domain/errors.ts"
import { StreamExists } from "../domain/errors.ts"
import { toRfc3339 } from "../domain/rfc3339.ts"
import { emptyBlock, layOut, toFrame } from "../event/event-block.ts"
import { Storage } from "../storage/storage.ts"
import type { Created, CreateRequest, Reservation, StreamInfo } from "./durable-stream.ts"
import type { Forks } from "./forks.ts"
import { judgeCondition } from "./judge-append.ts"
import type { OpenLog } from "./open-log.ts"
import { differenceFrom, toDescription } from "./stream-config.ts"
import { close } from "./stream-state.ts"

export const makeLifecycle = Effect.fnUntraced(function*(open: OpenLog, forks: Forks) {
  const storage = yield* Storage
  const clock = yield* Clock.Clock
  const { name } = open

  /** On a log that is current. */
  const create = (request: CreateRequest, reservation: Reservation | undefined) =>
    Effect.gen(function*() {
      const { log, tail } = open
      const found = log === undefined || log.hidden ? undefined : open.infoOf(log)
      const unmet = judgeCondition(name, request.onlyIf, found)
      if (unmet !== undefined) return yield* unmet
      if (log !== undefined) {
        const difference = log.hidden
          ? "having been deleted: forks still read it"
          : differenceFrom(open.infoOf(log), request)
        if (difference !== undefined) return yield* new StreamExists({ stream: name, difference })
        return { made: false, events: emptyBlock(tail), info: open.infoOf(log) } satisfies Created as Created
      }
      const createdAt = toRfc3339(clock.currentTimeMillisUnsafe())
      const description = toDescription(name, createdAt, request, reservation)
      const first = description.forkedFrom?.offset ?? 0
      const data = [...reservation?.point.data ?? [], ...request.data]
      const events = layOut(first, data, toFrame(name, createdAt))
      yield* open.create(description, { events, state: request.closed === true ? [close(undefined)] : [] })
      return { made: true, events, info: open.infoOf(open.log!) } satisfies Created as Created
    })

  /** Ends this life of the stream. If forks read its log, the log is kept for them. */
  const end = (isForked: boolean) =>
    Effect.gen(function*() {
      const ending = open.life
      // From here on a read may fail because its log is gone: it waits for this turn, and reads again.
      open.doubt()
      // A log that was taken away by hand is gone all the same.
      const ended = yield* Effect.result(
        Effect.catchTag(isForked ? storage.hide(name) : storage.delete(name), "StreamNotFound", () => Effect.void)
      )
      const reopened = yield* Effect.result(open.reopen)
      // A failed delete may still have happened; the re-opened log decides.
      if (open.life === ending) yield* Effect.fromResult(ended)
      yield* Effect.fromResult(reopened)
    })

  const remove = Effect.suspend(() => open.log === undefined ? Effect.void : Effect.flatMap(forks.haveReader, end))

  /** Removes a log that was kept for its forks alone, if the last of them is gone. */
  const removeUnread = Effect.gen(function*() {
    if (open.log?.hidden === true && !(yield* forks.haveReader)) yield* end(false)
  })

  const removeDue = Effect.suspend(() => open.isDue() ? remove : Effect.void)

  /** Opens a log that is in doubt, since the stream may exist after all, and deletes a stream that is due. */
  const ensureCurrent: Effect.Effect<void, StorageError> = Effect.suspend(() =>
    open.isInDoubt ? Effect.andThen(open.reopen, removeDue) : removeDue
  )

  /** Deletes the stream, on a log that is current, unless `check` fails. */
  const deleteIf = <E>(check: (info: StreamInfo) => Effect.Effect<void, E>) =>
    Effect.andThen(Effect.flatMap(open.info, check), remove)

  return { create, deleteIf, ensureCurrent, removeUnread }
})
