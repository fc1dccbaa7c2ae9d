/**
 * Puts commits that a journal has back into their log's file, where a power cut can have torn, zeroed or taken them
 * (docs/storage-format.md 10). What is there already is written again: only then a flush vouches for it.
 */
import { Effect } from "effect"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import type { JournalRecord } from "../format/journal-codec.ts"
import { crcToEnd, fits, lineFeed, trailerLength, writtenCrc } from "../format/record-codec.ts"

/** Records nearer to one another than this are restored with one read and one write. */
const gapBytesMax = 64 * 1024

/** The records are those of one log, in the order in which they were written. Nothing from `limit` on is touched. */
export const replayRecords = Effect.fnUntraced(
  function*(file: DiskFile, records: ReadonlyArray<JournalRecord>, limit = Infinity) {
    for (const run of runsOf(records.filter(({ bytes, position }) => position + bytes.length <= limit))) {
      const size = yield* file.size
      const start = run[0]!.position - crcToEnd
      let end = 0
      for (const { bytes, position } of run) end = Math.max(end, position + bytes.length)
      // A log whose file is shorter has lost more than a power cut takes, or is another one by now.
      if (start < 0 || start + crcToEnd > size) continue
      const there = yield* readPast(file, size, start, run.at(-1)!.position, end)
      const region = Buffer.alloc(end - start)
      there.copy(region)
      const restored = replayRegion(there, region, start, run)
      if (restored > crcToEnd) yield* file.write(region.subarray(crcToEnd, restored), start + crcToEnd)
    }
  }
) satisfies (
  file: DiskFile,
  records: ReadonlyArray<JournalRecord>,
  limit?: number
) => Effect.Effect<void, DiskFailure>

/**
 * The file from `start` to at least `end`, and on to where the commit ends that lies at `last`: whether it is whole decides
 * which of two counts that were written there.
 */
const readPast = Effect.fnUntraced(
  function*(file: DiskFile, size: number, start: number, last: number, end: number) {
    for (let more = gapBytesMax;; more *= 4) {
      const wanted = Math.min(size, end + more)
      const bytes = Buffer.allocUnsafe(Math.max(0, wanted - start))
      const there = bytes.subarray(0, yield* file.read(bytes, bytes.length, start))
      if (wanted === size || endOfCommit(there, last - start) > 0) return there
    }
  }
)

const runsOf = (records: ReadonlyArray<JournalRecord>): ReadonlyArray<ReadonlyArray<JournalRecord>> => {
  const runs: Array<Array<JournalRecord>> = []
  let end = -Infinity
  for (const record of records) {
    if (record.position < end - gapBytesMax || record.position > end + gapBytesMax) runs.push([])
    runs.at(-1)!.push(record)
    end = record.position + record.bytes.length
  }
  return runs
}

/**
 * Restores the records in `region`, which begins at `start` of the file with the digits before the first of them; `there`
 * is as much of it as the file has. Answers how much of the region is the log's.
 */
const replayRegion = (
  there: Buffer,
  region: Buffer,
  start: number,
  records: ReadonlyArray<JournalRecord>
): number => {
  let restored = 0
  for (const { bytes, position } of records) {
    const at = position - start
    if (at < crcToEnd) continue
    const before = writtenCrc(region, at)
    // A commit that does not go on from what is before it is of another life of the log, or was given up.
    if (before < 0 || !fits(bytes, bytes.length, before)) continue
    // Given up, and another one written in its place: that one counts.
    const isThere = there.length >= at + bytes.length &&
      there.compare(bytes, 0, bytes.length, at, at + bytes.length) === 0
    if (!isThere && hasCommit(there.subarray(at), before)) continue
    region.set(bytes, at)
    restored = Math.max(restored, at + bytes.length)
  }
  return restored
}

/** What every line of a log begins with. */
const brace = 0x7b

/** Whether a whole commit stands at the front that goes on from the sum `before`. */
const hasCommit = (bytes: Buffer, before: number): boolean => {
  // Zeros, most likely: searched for the end of a line behind every record, they would take for ever.
  const end = bytes[0] === brace ? endOfCommit(bytes, 0) : 0
  return end > 0 && fits(bytes, end, before)
}

/** Where the first trailer from `from` on ends; 0 where there is none. */
const endOfCommit = (bytes: Buffer, from: number): number => {
  for (let start = from; start < bytes.length;) {
    const end = bytes.indexOf(lineFeed, start) + 1
    if (end === 0) return 0
    if (trailerLength(bytes, start, end) > 0) return end
    start = end
  }
  return 0
}
