/**
 * Cuts a torn commit off the end of a log, as the log's next opening would (docs/storage-format.md 6), after a copy of the
 * file was put beside it. The caller holds the directory's lock.
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
  /** The file as it was, beside the log; undefined where nothing was done. */
  readonly copy: string | undefined
  readonly bytes: number
  /** Why nothing was cut; undefined where it was. */
  readonly failed: string | undefined
}

/** One read and one write of the copy. */
const pieceBytes = 1024 * 1024

/** `wholeTo` is where the last whole commit ends as it was found: unless it is found so again, nothing is cut. */
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
        const copy = yield* copyOf(disk, directory, file, log)
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

/** Copies the file under the first name that is free; a copy that is not whole is taken away again. */
const copyOf = Effect.fnUntraced(function*(disk: Disk, directory: string, file: string, log: DiskFile) {
  const there = new Set(yield* disk.list(directory))
  let number = 1
  while (there.has(beforeRepairName(file, number))) number++
  const name = beforeRepairName(file, number)
  const path = Path.join(directory, name)
  yield* Effect.acquireUseRelease(
    disk.create(path),
    (copy) => Effect.andThen(copied(log, copy), copy.flush),
    (copy) => copy.close
  ).pipe(Effect.onError(() => Effect.ignore(disk.remove(path))))
  yield* disk.flushDirectory(directory)
  return name
})

const copied = Effect.fnUntraced(function*(from: DiskFile, to: DiskFile) {
  const bytes = Buffer.allocUnsafe(pieceBytes)
  for (let position = 0;;) {
    const got = yield* from.read(bytes, bytes.length, position)
    if (got === 0) return
    yield* to.write(bytes.subarray(0, got), position)
    position += got
  }
}) satisfies (from: DiskFile, to: DiskFile) => Effect.Effect<void, DiskFailure>
