/**
 * What a fork inherits, read from the logs of its sources: they are opened for reading when somebody first asks, and
 * another stream may be writing to them meanwhile. Nothing before a fork's first offset ever changes there.
 */
import { Effect } from "effect"
import { LogDamaged } from "../durable-streams/errors.ts"
import { sliceBlock } from "../durable-streams/event-block.ts"
import type { ForkOrigin, Log } from "../durable-streams/storage.ts"
import type { StreamName } from "../durable-streams/types.ts"
import { toOffset } from "../durable-streams/types.ts"
import { toReadError } from "./disk-errors.ts"
import type { DiskFailure } from "./disk.ts"
import type { LogReader } from "./log-reader.ts"

/** A log of which a fork reads. */
export interface Source {
  readonly reader: LogReader
  /** Where its own events begin; what is before them is its own source's. */
  readonly first: number
  readonly forkedFrom: ForkOrigin | undefined
  readonly close: Effect.Effect<void>
}

export interface Inherited {
  readonly read: Log["read"]
  readonly close: Effect.Effect<void>
}

/** `open` finds a source, hidden or not; it is undefined when the source is not the one that was forked. */
export const makeInherited = (
  fork: StreamName,
  origin: ForkOrigin | undefined,
  open: (origin: ForkOrigin) => Effect.Effect<Source | undefined, DiskFailure>
): Inherited => {
  /** The sources that are open, the nearest first. */
  let sources: Array<Source> = []

  const close = Effect.suspend(() => {
    const opened = sources
    sources = []
    return Effect.forEach(opened, (source) => source.close, { discard: true })
  })

  const lost = (from: number) => Effect.fail(new LogDamaged({ stream: fork, offset: toOffset(from) }))

  const read = Effect.fnUntraced(function*(from: number, bytesMax: number) {
    let next = origin
    // What was forked below its source's own beginning inherits less of that one's source than it did.
    let end = Infinity
    for (let depth = 0; next !== undefined; depth++) {
      end = Math.min(end, next.offset)
      let source = sources[depth]
      if (source === undefined) {
        source = yield* open(next)
        if (source === undefined) return yield* lost(from)
        // Two who read at once may both open it; the one that comes second gives its own back.
        const known = sources[depth]
        if (known === undefined) sources[depth] = source
        else yield* source.close
        source = known ?? source
      }
      if (from >= source.first) return sliceBlock(yield* source.reader.read(from, bytesMax), from, end - from)
      next = source.forkedFrom
    }
    return yield* lost(from)
  })

  return {
    close,
    read: (from, bytesMax) =>
      read(from, bytesMax).pipe(
        // A source that is deleted meanwhile is hidden under another name.
        Effect.catchIf(
          (error) => error._tag === "DiskFailure" && error.code === "ENOENT",
          () => Effect.andThen(close, read(from, bytesMax))
        ),
        Effect.catchTags({
          DiskFailure: (failure) => Effect.fail(toReadError("read the source of", fork, failure)),
          // Named by the stream that is read, which is the one the reader knows.
          LogDamaged: ({ offset }) => Effect.fail(new LogDamaged({ stream: fork, offset }))
        })
      )
  }
}
