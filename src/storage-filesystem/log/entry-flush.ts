/**
 * Makes changes of a directory's entries durable, or takes them back. If neither succeeds, the entry is in doubt: a power cut
 * may leave the file under another name, or none.
 */
import { Effect } from "effect"
import type { DiskFailure } from "../disk/disk.ts"

export interface EntryFlush {
  /** Flushes a change of the file's entry. If that fails, runs `undo` and flushes again. */
  readonly flush: (file: string, undo?: Effect.Effect<void, DiskFailure>) => Effect.Effect<void, DiskFailure>
  /** Flushes the directory if the file's entry is in doubt. */
  readonly resolveDoubt: (file: string) => Effect.Effect<void, DiskFailure>
}

export const makeEntryFlush = (flushDirectory: Effect.Effect<void, DiskFailure>): EntryFlush => {
  /** Files whose entries are in doubt. */
  const doubted = new Set<string>()

  const flush: EntryFlush["flush"] = (file, undo) => {
    const doubt = Effect.sync(() => void doubted.add(file))
    const flushed = Effect.map(flushDirectory, () => void doubted.delete(file))
    return Effect.onError(
      flushed,
      () => undo === undefined ? doubt : Effect.catch(Effect.andThen(undo, flushed), () => doubt)
    )
  }

  return {
    flush,
    resolveDoubt: (file) => Effect.suspend(() => doubted.has(file) ? flush(file) : Effect.void)
  }
}
