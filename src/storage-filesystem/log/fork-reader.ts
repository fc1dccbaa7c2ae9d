/**
 * Reads the events that a fork inherits from the logs of its sources. A source is opened when the fork first reads it, while
 * another stream may be writing to it. Nothing before a fork's first offset ever changes there.
 */
import { Effect } from "effect"
import { LogDamaged } from "../../domain/errors.ts"
import type { StreamName } from "../../domain/types.ts"
import { toOffset } from "../../domain/types.ts"
import { sliceBlock } from "../../event/event-block.ts"
import type { ForkOrigin, Log } from "../../storage/storage.ts"
import { toReadError } from "../disk/disk-errors.ts"
import { DiskFailure } from "../disk/disk.ts"
import type { ForkSources, HeldSource } from "./fork-sources.ts"

export interface ForkReader {
  readonly read: Log["read"]
  readonly close: Effect.Effect<void>
}

export const makeForkReader = (
  fork: StreamName,
  origin: ForkOrigin | undefined,
  sources: ForkSources
): ForkReader => {
  /** The sources that this fork holds, by their distance: its own source is at 0. */
  const held = new Map<number, HeldSource>()
  let isClosed = false

  const releaseAll = Effect.suspend(() => {
    const released = [...held.values()]
    held.clear()
    return Effect.forEach(released, (source) => source.release, { discard: true })
  })

  const forget = Effect.suspend(() => {
    for (const source of held.values()) source.forget()
    return releaseAll
  })

  /** The same failure as of a log's own file that was closed. */
  const failClosed = Effect.suspend(() =>
    Effect.fail(new DiskFailure({ code: "ENOENT", call: "open", path: fork, cause: undefined }))
  )

  const lost = (from: number) => Effect.fail(new LogDamaged({ stream: fork, offset: toOffset(from) }))

  const holdAt = Effect.fnUntraced(function*(depth: number, origin: ForkOrigin) {
    if (isClosed) return yield* failClosed
    const source = yield* sources.hold(origin)
    if (source === undefined) return undefined
    // The fork was closed meanwhile, and nothing would release a source that it holds now.
    if (isClosed) return yield* Effect.andThen(source.release, failClosed)
    // Two reads at once may both ask for it; the second one gives its own back.
    const known = held.get(depth)
    if (known === undefined) held.set(depth, source)
    else yield* source.release
    return known ?? source
  }, Effect.uninterruptible)

  const read = Effect.fnUntraced(function*(from: number, bytesMax: number) {
    let next = origin
    // A fork that begins before its source's own events inherits less than its source does.
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
    close: Effect.suspend(() => {
      isClosed = true
      return releaseAll
    }),
    read: (from, bytesMax) =>
      read(from, bytesMax).pipe(
        // A source that is deleted meanwhile is hidden under another name.
        Effect.catchIf(
          (error) => error._tag === "DiskFailure" && error.code === "ENOENT",
          () => Effect.andThen(forget, read(from, bytesMax))
        ),
        Effect.catchTags({
          DiskFailure: (failure) => Effect.fail(toReadError("read the source of", fork, failure)),
          // The reader knows the fork, so the error names the fork.
          LogDamaged: ({ offset }) => Effect.fail(new LogDamaged({ stream: fork, offset }))
        })
      )
  }
}
