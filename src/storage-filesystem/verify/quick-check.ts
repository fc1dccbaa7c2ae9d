/**
 * A quick check of the logs of a directory: it reads the two ends of each log, as an opening does, and nothing in between.
 */
import { Effect } from "effect"
import * as Path from "node:path"
import type { Disk, DiskFailure } from "../disk/disk.ts"
import { isMissing } from "../disk/disk.ts"
import { readJournal } from "../journal/journal-reader.ts"
import { findTail } from "../log/find-tail.ts"
import { readHeader } from "../log/log-header.ts"
import { entriesOf, withReplayed } from "./verify-logs.ts"

export interface QuickCheck {
  /** How many logs exist, and how many of them were checked. */
  readonly logs: number
  readonly checked: number
  /** Files that cannot be read. */
  readonly unreadable: ReadonlyArray<string>
  /** Files that are damaged. A torn end is no damage: the next opening cuts it. */
  readonly damaged: ReadonlyArray<string>
}

/** Checks the first `logsMax` logs. */
export const checkQuickly = Effect.fnUntraced(function*(
  disk: Disk,
  directory: string,
  logsMax: number
): Effect.fn.Return<QuickCheck, DiskFailure> {
  const entries = yield* entriesOf(disk, directory)
  const { records } = yield* readJournal(disk, Path.dirname(directory))
  const damaged: Array<string> = []
  const unreadable: Array<string> = []
  const checked = entries.slice(0, logsMax)
  for (const entry of checked) {
    const isDamaged = yield* withReplayed(disk, directory, entry, records, (file) =>
      Effect.gen(function*() {
        const header = yield* readHeader(file)
        const logEnd = yield* findTail(file, header?.description.forkedFrom?.offset ?? 0)
        if (logEnd === "empty") return false
        return header?.sound !== true || logEnd === "damaged" || logEnd.damaged
      })).pipe(
        // A log that was deleted meanwhile, or cannot be read, says nothing about the others.
        Effect.catch((failure) =>
          Effect.sync(() => {
            if (!isMissing(failure)) unreadable.push(entry.file)
            return false
          })
        )
      )
    if (isDamaged) damaged.push(entry.file)
  }
  return { logs: entries.length, checked: checked.length, damaged, unreadable }
})
