/**
 * The names of logs whose file names are too short for them: the log's first line tells (docs/storage-format.md 2). A name
 * that was read is remembered while its file exists.
 */
import { Effect } from "effect"
import * as Path from "node:path"
import type { StreamName } from "../../domain/types.ts"
import type { Disk, DiskFailure } from "../disk/disk.ts"
import { isMissing } from "../disk/disk.ts"
import { toFileName } from "../format/file-names.ts"
import { readHeader } from "./log-header.ts"

export interface LongNames {
  /** Reads the name; undefined if the file holds no log, or cannot be read. */
  readonly nameOf: (file: string) => Effect.Effect<StreamName | undefined>
  /** The log of that file is gone. */
  readonly forget: (file: string) => void
  /** Forgets all files but these. */
  readonly keepOnly: (files: ReadonlySet<string>) => void
  /** Whether a file could not be read. */
  readonly isIncomplete: () => boolean
}

export const makeLongNames = (disk: Disk, directory: string): LongNames => {
  let names = new Map<string, StreamName>()
  let unreadable = new Set<string>()

  const nameOf: LongNames["nameOf"] = (file) => {
    const known = names.get(file)
    if (known !== undefined) return Effect.succeed(known)
    const path = Path.join(directory, file)
    return Effect.acquireUseRelease(disk.open(path), readHeader, (opened) => opened.close).pipe(
      Effect.map((header) => {
        unreadable.delete(file)
        // The hash in the file's name proves the name, even if the rest of the header is damaged.
        if (header === undefined || toFileName(header.description.name) !== file) return undefined
        names.set(file, header.description.name)
        return header.description.name
      }),
      Effect.catch((failure) => isMissing(failure) ? Effect.undefined : leaveOut(file, failure))
    )
  }

  /** Leaves out a file that cannot be read, and lists the others. */
  const leaveOut = (file: string, { call, code }: DiskFailure) =>
    Effect.suspend(() => {
      if (unreadable.has(file)) return Effect.undefined
      unreadable.add(file)
      return Effect.as(
        Effect.annotateLogs(
          Effect.logError("A log with a long name cannot be read, so its stream is left out of all lists"),
          { path: Path.join(directory, file), call, code }
        ),
        undefined
      )
    })

  return {
    nameOf,
    forget: (file) => void names.delete(file),
    keepOnly: (files) => {
      names = new Map([...names].filter(([file]) => files.has(file)))
      unreadable = new Set([...unreadable].filter((file) => files.has(file)))
    },
    isIncomplete: () => unreadable.size > 0
  }
}
