/**
 * Reading one stream: at once, or waiting at the tail. Readers see only what is durable (promise 2), and hold an offset in
 * one life of the stream: when that is over they are told, whatever became of a read that was under way (promise 10).
 */
import { Effect } from "effect"
import type { LogDamaged, StorageError } from "../domain/errors.ts"
import { StreamDeleted } from "../domain/errors.ts"
import type { EventBlock, StreamName } from "../domain/types.ts"
import { emptyBlock, sliceBlock } from "../event/event-block.ts"
import type { Log } from "../storage/storage.ts"
import type { Cursor, DurableStream, From, LiveStream, ReadError } from "./durable-stream.ts"
import { cursorAt } from "./place.ts"
import { searchSince } from "./search-since.ts"
import type { Standing } from "./stream-standing.ts"

/** What one read takes at the most: large enough to amortise a system call, small enough to hold one per reader. */
const readBytes = 512 * 1024

interface Surroundings {
  /** Notes that the stream is used now. */
  readonly use: () => void
  /** The same as somebody stops to read. */
  readonly stopReading: () => void
  /** Finds out in the writer's turn what there is of the stream now. */
  readonly look: Effect.Effect<void, StorageError>
}

type Reads = Pick<DurableStream, "cursor" | "read" | "next" | "live" | "offsetSince" | "reading">

export const makeReads = (name: StreamName, now: Standing, { look, stopReading, use }: Surroundings): Reads => {
  const deleted = () => Effect.fail(new StreamDeleted({ stream: name }))

  const read = (cursor: Cursor, bytesMax = readBytes): Effect.Effect<EventBlock, ReadError> =>
    Effect.suspend((): Effect.Effect<EventBlock, ReadError> => {
      if (cursor.life !== now.life) return deleted()
      const { log } = now
      const known = log === undefined ? undefined : atHand(now, cursor.next, bytesMax)
      if (log === undefined || known !== undefined) return Effect.succeed(known ?? emptyBlock(cursor.next))
      return Effect.matchEffect(fromLog(now, log, cursor.next, bytesMax), {
        onSuccess: (block) => cursor.life === now.life ? Effect.succeed(block) : deleted(),
        onFailure: (error) => {
          // The log was let go under the reader, for the stream is being deleted, or is looked for.
          const isLetGo = cursor.life !== now.life || now.isUnknown || log !== now.log
          return isLetGo ?
            Effect.matchEffect(look, { onSuccess: () => again(cursor, bytesMax), onFailure: Effect.fail }) :
            Effect.fail(error)
        }
      })
    })

  /** It is known what there is: what fails now fails. */
  const again = (cursor: Cursor, bytesMax: number): Effect.Effect<EventBlock, ReadError> =>
    cursor.life !== now.life ? deleted() : readAt(now, cursor.next, bytesMax)

  const isNews = (cursor: Cursor): boolean => cursor.life !== now.life || cursor.next < now.tail || now.closed

  const next = (cursor: Cursor, bytesMax?: number): Effect.Effect<EventBlock, ReadError> =>
    Effect.suspend(() =>
      isNews(cursor)
        ? read(cursor, bytesMax)
        : Effect.andThen(now.sleepers.wait(() => isNews(cursor), use), next(cursor, bytesMax))
    )

  const live: LiveStream = {
    take: (cursor) => {
      if (!isNews(cursor)) return undefined
      if (cursor.life !== now.life || cursor.next >= now.tail) return "behind"
      return now.recent.from(cursor.next, readBytes) ?? "behind"
    },
    wait: (wake) => now.sleepers.add(wake),
    leave: (wake) => {
      now.sleepers.delete(wake)
      use()
    },
    place: () => ({ life: now.life, tail: now.tail, closed: now.closed })
  }

  return {
    read,
    next,
    live,
    cursor: (from: From) =>
      Effect.flatMap(current(now, look), () => {
        use()
        return cursorAt(from, { stream: name, id: now.log?.description.id, life: now.life, tail: now.tail })
      }),
    reading: Effect.acquireRelease(Effect.sync(() => now.startReading()), () => Effect.sync(stopReading)),
    offsetSince: (time) =>
      Effect.suspend(() => {
        const { life, tail } = now
        return searchSince((next, bytesMax) => read({ life, next }, bytesMax), tail, time)
      })
  }
}

/** A stream whose time has come is not there any more for anybody. */
export const current = (now: Standing, look: Effect.Effect<void, StorageError>): Effect.Effect<void> =>
  Effect.suspend(() => now.isUnknown || now.isDue() ? Effect.ignore(look) : Effect.void)

/** Durable events from memory when they are new, else from the log. */
export const readAt = (
  now: Standing,
  next: number,
  bytesMax: number
): Effect.Effect<EventBlock, StorageError | LogDamaged> =>
  Effect.suspend(() => {
    if (now.log === undefined) return Effect.succeed(emptyBlock(next))
    const known = atHand(now, next, bytesMax)
    return known === undefined ? fromLog(now, now.log, next, bytesMax) : Effect.succeed(known)
  })

/** What takes no look into the log. */
const atHand = ({ recent, tail }: Standing, next: number, bytesMax: number): EventBlock | undefined =>
  next >= tail ? emptyBlock(next) : recent.from(next, bytesMax)

const fromLog = ({ tail }: Standing, log: Log, next: number, bytesMax: number) =>
  Effect.map(log.read(next, bytesMax), (block) => sliceBlock(block, next, tail - next))
