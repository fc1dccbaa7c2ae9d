/**
 * Reading one stream: at once, or waiting at the tail. Readers see only durable events (promise 2), and hold an offset in
 * one life of the stream: when that life is over they are told, however a read that was under way has ended (promise 10).
 */
import { Effect, Option, Stream } from "effect"
import type { LogDamaged, StorageError } from "../domain/errors.ts"
import { StreamDeleted } from "../domain/errors.ts"
import type { OffsetBeyondTail } from "../domain/place-errors.ts"
import { beyondTail } from "../domain/place-errors.ts"
import type { EventBlock, StreamEvent } from "../domain/types.ts"
import { consumeBlock, emptyBlock, parseEvent, sliceBlock } from "../event/event-block.ts"
import type { Log } from "../storage/storage.ts"
import type { Cursor, DurableStream, From, ReadError } from "./durable-stream.ts"
import type { OpenLog } from "./open-log.ts"
import { searchSince } from "./search-since.ts"

/** The most bytes that one read takes: enough to amortise a system call, little enough to hold for each reader. */
const readBytes = 512 * 1024

type Reader = Pick<
  DurableStream,
  | "info"
  | "infoUnsafe"
  | "cursor"
  | "read"
  | "next"
  | "nextUnsafe"
  | "waitUnsafe"
  | "leaveUnsafe"
  | "offsetSince"
  | "reading"
  | "subscribe"
>

/** `ensureCurrent` opens a log that is in doubt and deletes a stream that is due, in the writer's turn. */
export const makeReader = (open: OpenLog, ensureCurrent: Effect.Effect<void, StorageError>): Reader => {
  const deleted = () => Effect.fail(new StreamDeleted({ stream: open.name }))

  /** An expired stream is gone for all readers. */
  const tryCurrent = Effect.suspend(() => open.isInDoubt || open.isDue() ? Effect.ignore(ensureCurrent) : Effect.void)

  const read = (cursor: Cursor, bytesMax = readBytes): Effect.Effect<EventBlock, ReadError> =>
    Effect.suspend((): Effect.Effect<EventBlock, ReadError> => {
      if (cursor.life !== open.life) return deleted()
      const { log } = open
      const known = log === undefined ? undefined : fromMemory(open, cursor.next, bytesMax)
      if (log === undefined || known !== undefined) return Effect.succeed(known ?? emptyBlock(cursor.next))
      return Effect.matchEffect(fromLog(open, log, cursor.next, bytesMax), {
        onSuccess: (block) => cursor.life === open.life ? Effect.succeed(block) : consumeBlock(block, deleted),
        onFailure: (error) => {
          // The log was closed under the reader, for the stream is being deleted, or the log is opened again.
          const isClosedUnder = cursor.life !== open.life || open.isInDoubt || log !== open.log
          return isClosedUnder
            ? Effect.andThen(ensureCurrent, Effect.suspend(() => readOnce(cursor, bytesMax)))
            : Effect.fail(error)
        }
      })
    })

  /** The log is not in doubt any more: a read that fails now fails. */
  const readOnce = (cursor: Cursor, bytesMax: number): Effect.Effect<EventBlock, ReadError> =>
    cursor.life !== open.life ? deleted() : readAt(open, cursor.next, bytesMax)

  const isNews = (cursor: Cursor): boolean => cursor.life !== open.life || cursor.next < open.tail || open.closed

  const next = (cursor: Cursor, bytesMax?: number): Effect.Effect<EventBlock, ReadError> =>
    Effect.suspend(() =>
      isNews(cursor)
        ? read(cursor, bytesMax)
        : Effect.andThen(open.sleepers.wait(() => isNews(cursor), () => open.use()), next(cursor, bytesMax))
    )

  const nextUnsafe: Reader["nextUnsafe"] = (cursor) => {
    if (!isNews(cursor)) return undefined
    if (cursor.life !== open.life || cursor.next >= open.tail) return "behind"
    return open.recent.from(cursor.next, readBytes) ?? "behind"
  }

  const leaveUnsafe = (wake: () => void) => {
    open.sleepers.delete(wake)
    open.use()
  }

  const cursor = (from: From) =>
    Effect.flatMap(tryCurrent, () => {
      open.use()
      return cursorAt(open, from)
    })

  const reading = Effect.acquireRelease(
    Effect.sync(() => open.startReading()),
    () => Effect.sync(() => open.stopReading())
  )

  return {
    info: Effect.andThen(tryCurrent, open.info),
    cursor,
    read,
    next,
    nextUnsafe,
    waitUnsafe: (wake) => open.sleepers.add(wake),
    leaveUnsafe,
    infoUnsafe: () => ({ life: open.life, tail: open.tail, closed: open.closed }),
    reading,
    offsetSince: (time) =>
      Effect.suspend(() => {
        const { life, tail } = open
        return searchSince((next, bytesMax) => read({ life, next }, bytesMax), tail, time)
      }),
    subscribe: (from) =>
      Stream.unwrap(Effect.map(Effect.andThen(reading, cursor(from)), (start) => eventsFrom(start, next)))
  }
}

/** Durable events from memory if they are new, else from the log. */
export const readAt = (
  open: OpenLog,
  next: number,
  bytesMax: number
): Effect.Effect<EventBlock, StorageError | LogDamaged> =>
  Effect.suspend(() => {
    if (open.log === undefined) return Effect.succeed(emptyBlock(next))
    const known = fromMemory(open, next, bytesMax)
    return known === undefined ? fromLog(open, open.log, next, bytesMax) : Effect.succeed(known)
  })

/** Undefined: it takes a read of the log. */
const fromMemory = ({ recent, tail }: OpenLog, next: number, bytesMax: number): EventBlock | undefined =>
  next >= tail ? emptyBlock(next) : recent.from(next, bytesMax)

/** The log may already hold events of a commit that is not flushed: they are cut off. */
const fromLog = ({ tail }: OpenLog, log: Log, next: number, bytesMax: number) =>
  Effect.map(log.read(next, bytesMax), (block) => sliceBlock(block, next, tail - next))

/** Fails for an offset beyond the tail (promise 10). */
const cursorAt = ({ life, log, name, tail }: OpenLog, from: From): Effect.Effect<Cursor, OffsetBeyondTail> => {
  const next = from === "beginning" ? 0 : from === "now" ? tail : from
  return next <= tail ? Effect.succeed({ life, next }) : Effect.fail(beyondTail(name, next, tail, log?.description.id))
}

/** The events from the cursor on, one by one as values, to the end of the stream. */
const eventsFrom = (start: Cursor, next: DurableStream["next"]): Stream.Stream<StreamEvent, ReadError> =>
  Stream.paginate(start, (at) =>
    Effect.map(next(at), (block) => [
      Array.from({ length: block.count }, (_, i) => parseEvent(block, i)),
      block.count === 0 ? Option.none() : Option.some({ life: at.life, next: block.first + block.count })
    ]))
