/**
 * Reads the records of a journal from the disk (docs/storage-format.md 10).
 */
import { Effect } from "effect"
import * as Path from "node:path"
import type { Disk, DiskFailure } from "../disk/disk.ts"
import { isMissing } from "../disk/disk.ts"
import type { JournalRecord } from "../format/journal-codec.ts"
import { decodeArea } from "../format/journal-codec.ts"

/** The records of each log, in the order in which they were written. */
export type Records = ReadonlyMap<string, ReadonlyArray<JournalRecord>>

export interface FoundJournal {
  /** Whether the file of any area exists. */
  readonly exists: boolean
  /** The newest generation; 0 if nothing was ever written. */
  readonly generation: number
  readonly records: Records
}

/** The two areas, which take turns. */
export const areaPaths = (directory: string): ReadonlyArray<string> =>
  [0, 1].map((number) => Path.join(directory, `journal.${number}`))

export const readJournal = (disk: Disk, directory: string): Effect.Effect<FoundJournal, DiskFailure> =>
  Effect.map(Effect.forEach(areaPaths(directory), (path) => readWhole(disk, path)), (found) => {
    const areas = found.map((bytes) => bytes === undefined ? undefined : decodeArea(bytes))
      .filter((area) => area !== undefined)
      .toSorted((one, other) => one.generation - other.generation)
    return {
      exists: found.some((bytes) => bytes !== undefined),
      generation: Math.max(0, ...areas.map((area) => area.generation)),
      records: Map.groupBy(areas.flatMap(({ records }) => records), ({ log }) => log)
    }
  })

const readWhole = (disk: Disk, path: string): Effect.Effect<Buffer | undefined, DiskFailure> =>
  Effect.acquireUseRelease(
    disk.open(path),
    (file) =>
      Effect.gen(function*() {
        const bytes = Buffer.alloc(yield* file.size)
        const got = yield* file.read(bytes, bytes.length, 0)
        return bytes.subarray(0, got)
      }),
    (file) => file.close
  ).pipe(Effect.catchIf(isMissing, () => Effect.undefined))
