/**
 * The forks of one stream (docs/protocol.md 10): where each leaves its source, and how long the source keeps its events for
 * it. A fork is noted in the source's state before it is created, so that no fork exists of which its source does not know.
 *
 * Offsets are dense, so past an anchor so many JSON messages further is another offset; so many bytes further is inside an
 * event, of which the fork gets the inherited part as an event of its own.
 */
import { Effect } from "effect"
import type { LogDamaged, StorageError, StorageFull } from "../domain/errors.ts"
import { InvalidRequest, SourceGone, StreamNotFound } from "../domain/errors.ts"
import type { EventBlock, StreamName } from "../domain/types.ts"
import { isJson, toOffset } from "../domain/types.ts"
import { dataSlice, emptyBlock } from "../event/event-block.ts"
import { bytesOf, EventData } from "../event/event-data.ts"
import type { StreamDescription } from "../storage/storage.ts"
import { Storage } from "../storage/storage.ts"
import type { ForkError, ForkPoint, Reservation } from "./durable-stream.ts"
import type { OpenLog } from "./open-log.ts"
import { readAt } from "./reader.ts"
import { newId } from "./stream-config.ts"
import { forkOf, forksOf, keepFor, keepNoMore } from "./stream-state.ts"

/** Everything here runs in the writer's turn, on a log that is current. */
export interface Forks {
  /** Finds the place of the fork, and keeps the events before it from now on. */
  readonly reserve: (
    fork: StreamName,
    offset: number | undefined,
    subOffset: number
  ) => Effect.Effect<Reservation, ForkError>
  /** The fork is not being created any more: it counts only if it exists. */
  readonly cancel: (forkId: string) => void
  /** Keeps nothing for the fork any more, unless it exists. */
  readonly release: (forkId: string) => Effect.Effect<void, StorageError | StorageFull | StreamNotFound>
  /**
   * Whether any fork reads the log, those that are being created included. A fork that was never created, or is gone
   * without having said so, does not count.
   */
  readonly haveReader: Effect.Effect<boolean>
}

export const makeForks = Effect.fnUntraced(function*(open: OpenLog) {
  const storage = yield* Storage
  /** Forks that are being created, or were since the stream woke. */
  const reserved = new Set<string>()

  const reserve: Forks["reserve"] = (fork, offset, subOffset) =>
    Effect.gen(function*() {
      const { log, tail } = open
      if (log === undefined) return yield* new StreamNotFound({ stream: open.name })
      if (log.hidden) return yield* new SourceGone({ stream: open.name })
      const read = (next: number, bytesMax: number) => readAt(open, next, bytesMax)
      const point = yield* findForkPoint(log.description, tail, read, offset ?? tail, subOffset)
      const forkId = newId()
      yield* log.commit({ events: emptyBlock(tail), state: [keepFor(forkId, fork)] }).pipe(
        Effect.tapErrorTag("StreamNotFound", () => open.reopenLost)
      )
      reserved.add(forkId)
      return { forkId, point }
    })

  const release: Forks["release"] = (forkId) =>
    Effect.gen(function*() {
      const { log, tail } = open
      const fork = log === undefined ? undefined : forkOf(log.state, forkId)
      // A fork that failed to be created, and was not taken back either, may still exist.
      if (log === undefined || fork === undefined || (yield* mayExist(storage, forkId, fork))) return
      yield* log.commit({ events: emptyBlock(tail), state: [keepNoMore(forkId)] })
    })

  const haveReader = Effect.gen(function*() {
    if (open.log === undefined) return false
    for (const [id, fork] of forksOf(open.log.state)) {
      if (reserved.has(id) || (yield* mayExist(storage, id, fork))) return true
    }
    return false
  })

  const forks: Forks = { reserve, cancel: (forkId) => void reserved.delete(forkId), release, haveReader }
  return forks
})

type ReadAt = (offset: number, bytesMax: number) => Effect.Effect<EventBlock, StorageError | LogDamaged>

const findForkPoint = Effect.fnUntraced(
  function*(source: StreamDescription, tail: number, readAt: ReadAt, offset: number, subOffset: number) {
    if (offset > tail) {
      return yield* new InvalidRequest({
        message: `The fork offset ${toOffset(offset)} is beyond the source's tail, ${toOffset(tail)}.`
      })
    }
    const at = (first: number, bytes: number, data: ReadonlyArray<EventData>): ForkPoint => ({
      source,
      origin: { stream: source.name, id: source.id, offset: first, bytes },
      data
    })
    if (subOffset === 0) return at(offset, 0, [])
    if (isJson(source.contentType) && offset + subOffset <= tail) return at(offset + subOffset, 0, [])
    if (!isJson(source.contentType) && offset < tail) {
      const whole = bytesOf(dataSlice(yield* readAt(offset, 1), 0))
      if (subOffset <= whole.length) return at(offset, subOffset, [EventData.fromBytes(whole.subarray(0, subOffset))])
    }
    return yield* new InvalidRequest({ message: `The fork sub-offset ${subOffset} is beyond what follows the offset.` })
  }
)

/** Whether there is, or may be, a fork of this id and name. */
const mayExist = (storage: Storage["Service"], id: string, fork: StreamName) =>
  storage.describe(fork).pipe(
    Effect.map((description) => description.id === id),
    Effect.catchTag("StreamNotFound", () => Effect.succeed(false)),
    // A fork that cannot be described may still be read.
    Effect.orElseSucceed(() => true)
  )
