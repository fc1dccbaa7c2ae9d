/**
 * Cuts a torn commit off the end of a log, as the log's next opening would (docs/storage-format.md 6), after copying the file
 * to a new file beside it. The caller holds the directory's lock.
 */
import { Effect } from "effect"
import * as Path from "node:path"
import type { Disk, DiskFailure, DiskFile } from "../disk/disk.ts"
import { beforeRepairName } from "../format/file-names.ts"
import type { JournalRecord } from "../format/journal-codec.ts"
import { replayRecords } from "../journal/replay-journal.ts"
import { findTail } from "../log/find-tail.ts"
import { readHeader } from "../log/log-header.ts"

export interface Repaired {
  /** The name of the copy; undefined if none was made. */
  readonly copy: string | undefined
  readonly bytes: number
  /** Why nothing was cut; undefined if it was. */
  readonly failed: string | undefined
}

/** The size of one read and one write of the copy. */
const pieceBytes = 1024 * 1024

/** `wholeTo` is where the check found the end of the last whole commit: if it ends elsewhere now, nothing is cut. */
export const repairLog = (
  disk: Disk,
  directory: string,
  file: string,
  records: ReadonlyArray<JournalRecord>,
  wholeTo: number
): Effect.Effect<Repaired> =>
  Effect.acquireUseRelease(
    disk.open(Path.join(directory, file)),
    (log) =>
      Effect.gen(function*() {
        const copy = yield* makeCopy(disk, directory, file, log)
        yield* replayRecords(log, records)
        const header = yield* readHeader(log)
        const logEnd = yield* findTail(log, header?.description.forkedFrom?.offset ?? 0)
        if (header?.sound !== true || typeof logEnd === "string" || logEnd.size !== wholeTo) {
          return { copy, bytes: 0, failed: "it does not look as it did a moment ago" }
        }
        yield* log.truncate(logEnd.size)
        yield* log.flush
        return { copy, bytes: logEnd.torn, failed: undefined }
      }),
    (log) => log.close
  ).pipe(
    Effect.uninterruptible,
    Effect.catch(({ call, code }) =>
      Effect.succeed({ copy: undefined, bytes: 0, failed: `${call} failed with ${code}` })
    )
  )

/** Copies the file to the first free name, durably. Removes a copy that fails. */
const makeCopy = Effect.fnUntraced(function*(disk: Disk, directory: string, file: string, log: DiskFile) {
  const there = new Set(yield* disk.list(directory))
  let number = 1
  while (there.has(beforeRepairName(file, number))) number++
  const name = beforeRepairName(file, number)
  const path = Path.join(directory, name)
  yield* Effect.acquireUseRelease(
    disk.create(path),
    (copy) => Effect.andThen(copyBytes(log, copy), copy.flush),
    (copy) => copy.close
  ).pipe(Effect.onError(() => Effect.ignore(disk.remove(path))))
  yield* disk.flushDirectory(directory)
  return name
})

const copyBytes = Effect.fnUntraced(function*(from: DiskFile, to: DiskFile): Effect.fn.Return<void, DiskFailure> {
  const bytes = Buffer.allocUnsafe(pieceBytes)
  for (let position = 0;;) {
    const got = yield* from.read(bytes, bytes.length, position)
    if (got === 0) return
    yield* to.write(bytes.subarray(0, got), position)
    position += got
  }
})
