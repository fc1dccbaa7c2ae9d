/**
 * A quick look at the logs of a directory: at the two ends of each, as opening it would, and at nothing in between.
 */
import { Effect } from "effect"
import * as Path from "node:path"
import type { Disk, DiskFailure } from "../disk/disk.ts"
import { isMissing } from "../disk/disk.ts"
import { readJournal } from "../journal/journal-reader.ts"
import { recover } from "../log/find-tail.ts"
import { readHeader } from "../log/log-header.ts"
import { entriesOf, withRestored } from "./verify-logs.ts"

export interface Glance {
  /** How many logs there are, and how many of them were looked at. */
  readonly logs: number
  readonly looked: number
  /** Files that cannot be read. */
  readonly unreadable: ReadonlyArray<string>
  /** Files in which damage showed. A torn end is none: the next opening cuts it. */
  readonly hurt: ReadonlyArray<string>
}

export const glanceAtLogs = Effect.fnUntraced(function*(disk: Disk, directory: string, looksMax: number) {
  const entries = yield* entriesOf(disk, directory)
  const { records } = yield* readJournal(disk, Path.dirname(directory))
  const hurt: Array<string> = []
  const unreadable: Array<string> = []
  const looked = entries.slice(0, looksMax)
  for (const entry of looked) {
    const isHurt = yield* withRestored(disk, directory, entry, records, (file) =>
      Effect.gen(function*() {
        const header = yield* readHeader(file)
        const recovered = yield* recover(file, header?.description.forkedFrom?.offset ?? 0)
        if (recovered === "empty") return false
        return header?.sound !== true || recovered === "damaged" || recovered.damaged
      })).pipe(
        // Deleted meanwhile; or one that cannot be read, which says nothing of the others.
        Effect.catch((failure) =>
          Effect.sync(() => {
            if (!isMissing(failure)) unreadable.push(entry.file)
            return false
          })
        )
      )
    if (isHurt) hurt.push(entry.file)
  }
  return { logs: entries.length, looked: looked.length, hurt, unreadable } satisfies Glance as Glance
}) satisfies (...args: never) => Effect.Effect<Glance, DiskFailure>
