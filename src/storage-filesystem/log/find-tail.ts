/**
 * Finds the tail of a log from the end of its file (docs/storage-format.md 6): where the last good commit ends, and how many
 * bytes lie behind it.
 */
import { Effect } from "effect"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import {
  afterTrailer,
  crcToEnd,
  isEventLine,
  lineFeed,
  lineOffset,
  runningCrc,
  trailerLength,
  trailerState,
  writtenCrc
} from "../format/record-codec.ts"

/** The end of a log, as its file has it. */
export interface LogEnd {
  /** Where the last good commit begins. */
  readonly commitAt: number
  /** Where it ends: the log's length. */
  readonly size: number
  /** The running sum at its trailer. */
  readonly crc: number
  /** The next offset to be given. */
  readonly tail: number
  /** Where the commits begin that carry the state; undefined in a log that never had a state. */
  readonly stateFrom: number | undefined
  /** Bytes behind the last good commit. */
  readonly torn: number
  /** Whether a commit that does not fit lies before one that does. */
  readonly damaged: boolean
}

/** A torn write leaves less than this: more is never cut without a check. */
export const tornBytesMax = 256 * 1024 * 1024

/** Most logs end in commits far smaller than this. */
const firstWindow = 64 * 1024

/**
 * Reads no more of the file's end than it needs. If no commit fits, the log was never made ("empty": it has no whole line),
 * or it is damaged from its start ("damaged"). `first` is the log's first offset.
 */
export const findTail = Effect.fnUntraced(function*(
  file: DiskFile,
  first: number
): Effect.fn.Return<LogEnd | "damaged" | "empty", DiskFailure> {
  const fileSize = yield* file.size
  for (let window = firstWindow;; window *= 2) {
    const length = Math.min(window, fileSize)
    const bytes = Buffer.allocUnsafe(length)
    const got = yield* file.read(bytes, length, fileSize - length)
    const logEnd = scan(bytes.subarray(0, got), fileSize - length, first)
    if (logEnd !== undefined) return logEnd
    // No crash leaves so much without a line, and a sparse file of any size must not be read into memory.
    if (length >= tornBytesMax && !bytes.includes(lineFeed)) return "damaged"
    if (length === fileSize) return bytes.includes(lineFeed) ? "damaged" : "empty"
  }
})

/** Scans the last bytes of a file, which begin at `position` of it; undefined if they are too few to tell. */
const scan = (bytes: Buffer, position: number, first: number): LogEnd | undefined => {
  // The sum at the trailer before, and where its digits stand; -1 while there is none to continue.
  let crc = position === 0 ? 0 : -1
  let from = 0
  let tail = position === 0 ? first : -1
  let events = 0
  let misfit: Misfit | undefined
  let good: LogEnd | undefined

  for (let start = position === 0 ? 0 : bytes.indexOf(lineFeed) + 1; start < bytes.length;) {
    const end = bytes.indexOf(lineFeed, start) + 1
    if (end === 0) break
    if (isEventLine(bytes, start)) events++
    if (trailerLength(bytes, start, end) > 0) {
      const digits = end - crcToEnd
      const written = writtenCrc(bytes, end)
      const sum = crc < 0 ? -1 : runningCrc(bytes, from, digits, crc)
      if (sum >= 0 && sum !== written) misfit ??= { from, end, sum: -1 }
      const line = sum >= 0 && sum === written ? start : misfit && lineBehind(bytes, misfit, start, digits, written)
      if (line !== undefined) {
        // Old commits that were moved behind newer ones do not make the newer offsets free again.
        if (isEventLine(bytes, line)) tail = Math.max(tail, lineOffset(bytes, line) + 1)
        // The events before a state line are damaged: only their number is known.
        else if (misfit !== undefined && tail >= 0) tail += Math.max(events, 1)
        const damaged = misfit !== undefined || good?.damaged === true
        const torn = bytes.length - end
        // Behind the trailer before it, from wherever the sum was continued.
        const commitAt = position + from + (position + from === 0 ? 0 : crcToEnd)
        const back = trailerState(bytes, start, end)?.back
        const stateFrom = back === undefined ? undefined : commitAt - back
        good = { commitAt, size: position + end, crc: written, tail, stateFrom, torn, damaged }
        misfit = undefined
        events = 0
      } else if (misfit !== undefined) {
        misfit = { from: misfit.from, end, sum }
      }
      crc = written
      from = digits
    }
    start = end
  }
  return good === undefined || good.tail < 0 ? undefined : good
}

/** Commits that do not fit. */
interface Misfit {
  /** Where the digits of the trailer before them stand. */
  readonly from: number
  /** Where the newest of them ends, and the sum that it should have; -1 if that is not known. */
  readonly end: number
  readonly sum: number
}

/** At most this many numbers that look like a sum are tried: data can be full of them. */
const triesMax = 64

/**
 * Finds the line with the offset of the commit that ends in the line at `start`, if that commit is whole and only the trailer
 * before it is damaged: in its digits, which are known then, or around them, so that it no longer looks like a trailer.
 * Without this, a whole commit would be cut off together with the damage before it.
 */
const lineBehind = (bytes: Buffer, misfit: Misfit, start: number, digits: number, written: number) => {
  if (misfit.sum >= 0 && runningCrc(bytes, misfit.end, digits, afterTrailer(misfit.sum)) === written) return start
  const between = bytes.toString("latin1", misfit.from, digits)
  for (const { 0: hex, index } of [...between.matchAll(likeSum)].slice(-triesMax)) {
    const behind = misfit.from + index + crcToEnd
    const sum = afterTrailer(Number.parseInt(hex, 16))
    if (behind < digits && runningCrc(bytes, behind, digits, sum) === written) return Math.max(start, behind)
  }
  return undefined
}

const likeSum = /(?<="crc":")[0-9a-f]{8}|[0-9a-f]{8}(?="\}\}\n)/g
