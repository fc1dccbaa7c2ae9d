/**
 * The logs of which forks read. Each is open once, however many forks read it: in a chain of a thousand forks every one
 * reads all that are before it, which would be half a million readers.
 */
import { Effect } from "effect"
import type { ForkOrigin } from "../../storage/storage.ts"
import type { DiskFailure } from "../disk/disk.ts"
import type { LogReader } from "./log-reader.ts"

export interface Source {
  readonly reader: LogReader
  /** Where its own events begin; what is before them is its own source's. */
  readonly first: number
  /** The tail when it was opened. The reader finds nothing from here on. */
  readonly tail: number
  readonly forkedFrom: ForkOrigin | undefined
  readonly close: Effect.Effect<void>
}

/** A source while somebody reads it. */
export interface HeldSource extends Source {
  /** Gives the source back: the last one who does closes it. Each holder does so once. */
  readonly release: Effect.Effect<void>
  /** The next one who asks opens the source anew: its file is no longer where it was. */
  readonly forget: () => void
}

export interface Sources {
  /** Finds a source, hidden or not. It is undefined when the stream of that name is not the one that was forked. */
  readonly hold: (origin: ForkOrigin) => Effect.Effect<HeldSource | undefined, DiskFailure>
}

export const makeSources = (
  open: (origin: ForkOrigin) => Effect.Effect<Source | undefined, DiskFailure>
): Sources => {
  const held = new Map<string, Shared>()

  /** A source that grew since it was opened is opened anew for a fork of what came later. */
  const known = (origin: ForkOrigin) => {
    const shared = held.get(origin.id)
    if (shared === undefined || shared.source.tail < origin.offset) return undefined
    shared.holders++
    return shared.source
  }

  const share = (id: string, source: Source): HeldSource => {
    const forget = () => {
      if (held.get(id) === shared) held.delete(id)
    }
    const release = Effect.suspend(() => {
      shared.holders--
      if (shared.holders > 0) return Effect.void
      forget()
      return source.close
    })
    const shared: Shared = { source: { ...source, release, forget }, holders: 1 }
    held.set(id, shared)
    return shared.source
  }

  return {
    hold: Effect.fnUntraced(function*(origin) {
      const before = known(origin)
      if (before !== undefined) return before
      const source = yield* open(origin)
      if (source === undefined) return undefined
      // Two who ask at once may both open it; the one that comes second gives its own back.
      const meanwhile = known(origin)
      if (meanwhile === undefined) return share(origin.id, source)
      yield* source.close
      return meanwhile
    }, Effect.uninterruptible)
  }
}

interface Shared {
  readonly source: HeldSource
  holders: number
}
