/**
 * Replays a journal: writes a log's records into the log's file again, where a power cut may have torn, zeroed or lost them
 * (docs/storage-format.md 10). It also writes bytes that are there already: a flush counts only for bytes written before it.
 */
import { Effect } from "effect"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import type { JournalRecord } from "../format/journal-codec.ts"
import { crcToEnd, fits, lineFeed, trailerLength, writtenCrc } from "../format/record-codec.ts"

/** Records nearer to one another than this are replayed with one read and one write. */
const gapBytesMax = 64 * 1024

/** Replays the records of one log, in the order in which they were written. Nothing from `limit` on is touched. */
export const replayRecords = Effect.fnUntraced(
  function*(
    file: DiskFile,
    records: ReadonlyArray<JournalRecord>,
    limit = Infinity
  ): Effect.fn.Return<void, DiskFailure> {
    for (const run of runsOf(records.filter(({ bytes, position }) => position + bytes.length <= limit))) {
      const size = yield* file.size
      const start = run[0]!.position - crcToEnd
      let end = 0
      for (const { bytes, position } of run) end = Math.max(end, position + bytes.length)
      // A shorter file has lost more than a power cut takes, or belongs to another log by now.
      if (start < 0 || start + crcToEnd > size) continue
      const there = yield* readPast(file, size, start, run.at(-1)!.position, end)
      const region = Buffer.alloc(end - start)
      there.copy(region)
      const replayedTo = replayRegion(there, region, start, run)
      if (replayedTo > crcToEnd) yield* file.write(region.subarray(crcToEnd, replayedTo), start + crcToEnd)
    }
  }
)

/**
 * Reads the file from `start` to at least `end`, and on to the end of the commit at `last`: if that commit is whole, it wins
 * over the record.
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
 * Replays the records into `region`, which begins at `start` of the file, with the digits before the first record; `there`
 * is the part of it that the file has. Returns where in the region the last replayed record ends.
 */
const replayRegion = (
  there: Buffer,
  region: Buffer,
  start: number,
  records: ReadonlyArray<JournalRecord>
): number => {
  let replayedTo = 0
  for (const { bytes, position } of records) {
    const at = position - start
    if (at < crcToEnd) continue
    const before = writtenCrc(region, at)
    // A commit that does not continue the sum before it is of another life of the log, or was given up.
    if (before < 0 || !fits(bytes, bytes.length, before)) continue
    // The commit was given up, and another one written in its place: that one counts.
    const isThere = there.length >= at + bytes.length &&
      there.compare(bytes, 0, bytes.length, at, at + bytes.length) === 0
    if (!isThere && hasCommit(there.subarray(at), before)) continue
    region.set(bytes, at)
    replayedTo = Math.max(replayedTo, at + bytes.length)
  }
  return replayedTo
}

/** The first byte of every line of a log. */
const brace = 0x7b

/** Whether the bytes begin with a whole commit that continues the sum `before`. */
const hasCommit = (bytes: Buffer, before: number): boolean => {
  // Anything else is most likely zeros: searching them for the end of a line behind every record would take for ever.
  const end = bytes[0] === brace ? endOfCommit(bytes, 0) : 0
  return end > 0 && fits(bytes, end, before)
}

/** Where the first trailer from `from` on ends; 0 if there is none. */
const endOfCommit = (bytes: Buffer, from: number): number => {
  for (let start = from; start < bytes.length;) {
    const end = bytes.indexOf(lineFeed, start) + 1
    if (end === 0) return 0
    if (trailerLength(bytes, start, end) > 0) return end
    start = end
  }
  return 0
}
