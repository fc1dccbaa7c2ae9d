/**
 * What a fork inherits, read from the logs of its sources: they are opened for reading when somebody first asks, and
 * another stream may be writing to them meanwhile. Nothing before a fork's first offset ever changes there.
 */
import { Effect } from "effect"
import { LogDamaged } from "../../domain/errors.ts"
import type { StreamName } from "../../domain/types.ts"
import { toOffset } from "../../domain/types.ts"
import { sliceBlock } from "../../event/event-block.ts"
import type { ForkOrigin, Log } from "../../storage/storage.ts"
import { toReadError } from "../disk/disk-errors.ts"
import type { HeldSource, Sources } from "./fork-sources.ts"

export interface Inherited {
  readonly read: Log["read"]
  readonly close: Effect.Effect<void>
}

export const makeInherited = (
  fork: StreamName,
  origin: ForkOrigin | undefined,
  sources: Sources
): Inherited => {
  /** The sources that this fork holds, by their distance: its own source is at 0. */
  const held = new Map<number, HeldSource>()

  const close = Effect.suspend(() => {
    const released = [...held.values()]
    held.clear()
    return Effect.forEach(released, (source) => source.release, { discard: true })
  })

  const forget = Effect.suspend(() => {
    for (const source of held.values()) source.forget()
    return close
  })

  const lost = (from: number) => Effect.fail(new LogDamaged({ stream: fork, offset: toOffset(from) }))

  const holdAt = Effect.fnUntraced(function*(depth: number, origin: ForkOrigin) {
    const source = yield* sources.hold(origin)
    if (source === undefined) return undefined
    // Two who read at once may both ask for it; the one that comes second gives its own back.
    const known = held.get(depth)
    if (known === undefined) held.set(depth, source)
    else yield* source.release
    return known ?? source
  }, Effect.uninterruptible)

  const read = Effect.fnUntraced(function*(from: number, bytesMax: number) {
    let next = origin
    // What was forked below its source's own beginning inherits less of that one's source than it did.
    let end = Infinity
    for (let depth = 0; next !== undefined; depth++) {
      end = Math.min(end, next.offset)
      const source = held.get(depth) ?? (yield* holdAt(depth, next))
      if (source === undefined) return yield* lost(from)
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
          () => Effect.andThen(forget, read(from, bytesMax))
        ),
        Effect.catchTags({
          DiskFailure: (failure) => Effect.fail(toReadError("read the source of", fork, failure)),
          // Named by the stream that is read, which is the one the reader knows.
          LogDamaged: ({ offset }) => Effect.fail(new LogDamaged({ stream: fork, offset }))
        })
      )
  }
}
