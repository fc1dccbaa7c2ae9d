/**
 * Looks at streams as they are now: for links that are made, and for news that were missed.
 */
import { Effect, Semaphore } from "effect"
import type { LogDamaged, Overloaded, StorageError } from "../../domain/errors.ts"
import type { StreamName } from "../../domain/types.ts"
import type { StreamManager } from "../../manager/stream-manager.ts"
import type { StreamDescription } from "../../storage/storage.ts"
import type { News } from "../machine/wake-cycle.ts"

/** So many streams at a time: a look opens the stream, and others need the disk, too. */
const looksAtOnce = 16

/** The news that a stream was made: the own events of a fork begin at the offset at which it left its source. */
export const madeNews = ({ forkedFrom, id: life }: StreamDescription): News => {
  const begin = forkedFrom?.offset ?? 0
  return { life, exists: true, begin, tail: begin }
}

export const grownNews = (description: StreamDescription, tail: number): News => ({ ...madeNews(description), tail })

export const goneNews = (life: string | undefined): News => ({ life, exists: false, begin: 0, tail: 0 })

export type StreamLookup = ReturnType<typeof makeStreamLookup>

export const makeStreamLookup = (manager: StreamManager["Service"]) => {
  const permits = Semaphore.makeUnsafe(looksAtOnce)
  const look = (path: string): Effect.Effect<News, StorageError | LogDamaged | Overloaded> =>
    permits.withPermit(Effect.scoped(Effect.flatMap(manager.get(path as StreamName), ({ info }) => info))).pipe(
      Effect.map(({ description, tail }) => grownNews(description, tail)),
      Effect.catchTags({
        StreamNotFound: () => Effect.succeed(goneNews(undefined)),
        StreamGone: () => Effect.succeed(goneNews(undefined))
      })
    )
  return {
    /** Whether there is a stream of this name, damaged or not. */
    exists: (path: string): Effect.Effect<boolean, StorageError | Overloaded> =>
      look(path).pipe(
        Effect.map(({ exists }) => exists),
        Effect.catchTag("LogDamaged", () => Effect.succeed(true))
      ),
    /** Looks at all of them; fails if one look fails. */
    all: (
      paths: Iterable<string>
    ): Effect.Effect<ReadonlyMap<string, News>, StorageError | LogDamaged | Overloaded> =>
      Effect.map(
        Effect.forEach([...new Set(paths)], (path) => Effect.map(look(path), (news) => [path, news] as const), {
          concurrency: looksAtOnce
        }),
        (entries) => new Map(entries)
      ),
    /** Looks at all of them, and tells each; returns the names whose look failed and may succeed another time. */
    each: (
      paths: Iterable<string>,
      tell: (path: string, news: News) => void
    ): Effect.Effect<ReadonlyArray<string>> => {
      const left: Array<string> = []
      return Effect.as(
        Effect.forEach(
          paths,
          (path) =>
            look(path).pipe(
              Effect.map((news) => tell(path, news)),
              Effect.catch((error) => {
                if (error._tag !== "LogDamaged") left.push(path)
                return Effect.annotateLogs(Effect.logWarning(`${notOpened}: ${error.message}`), { stream: path })
              })
            ),
          { concurrency: looksAtOnce, discard: true }
        ),
        left
      )
    }
  }
}

const notOpened = "A stream that a subscription reads could not be opened"
