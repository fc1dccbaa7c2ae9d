/**
 * The logs that forks read. Each is open once, however many forks read it: in a chain of a thousand forks each fork reads
 * all logs before it, which would be half a million readers.
 */
import { Effect } from "effect"
import type { ForkOrigin } from "../../storage/storage.ts"
import type { DiskFailure } from "../disk/disk.ts"
import type { LogReader } from "./log-reader.ts"

export interface ForkSource {
  readonly reader: LogReader
  /** Where its own events begin; the events before belong to its own source. */
  readonly first: number
  /** Its tail when it was opened. The reader finds nothing from here on. */
  readonly tail: number
  readonly forkedFrom: ForkOrigin | undefined
  readonly close: Effect.Effect<void>
}

/** A source that a fork holds. */
export interface HeldSource extends ForkSource {
  /** Gives the source back, once per holder. The last holder's release closes it. */
  readonly release: Effect.Effect<void>
  /** The file is no longer at its path: the next holder opens the source anew. */
  readonly forget: () => void
}

export interface ForkSources {
  /** Opens or shares a source, hidden or not; undefined if the stream of that name is not the one that was forked. */
  readonly hold: (origin: ForkOrigin) => Effect.Effect<HeldSource | undefined, DiskFailure>
}

export const makeForkSources = (
  open: (origin: ForkOrigin) => Effect.Effect<ForkSource | undefined, DiskFailure>
): ForkSources => {
  const held = new Map<string, Shared>()

  /** An open source, unless it has grown since: a fork of its newer events needs it opened anew. */
  const known = (origin: ForkOrigin) => {
    const shared = held.get(origin.id)
    if (shared === undefined || shared.source.tail < origin.offset) return undefined
    shared.holders++
    return shared.source
  }

  const share = (id: string, source: ForkSource): HeldSource => {
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
      // Two forks at once may both open it; the second one gives its own back.
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
