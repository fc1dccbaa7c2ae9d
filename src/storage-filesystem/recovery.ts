/**
 * What the end of a log says (docs/storage-format.md 6): where the last good commit ends, and what lies behind it.
 */
import { Effect } from "effect"
import type { DiskFailure, DiskFile } from "./disk.ts"
import {
  crcToEnd,
  isEventLine,
  lineFeed,
  lineOffset,
  runningCrc,
  trailerLength,
  trailerState,
  writtenCrc
} from "./record-codec.ts"

export interface Recovered {
  /** Where the last good commit ends: the log's length. */
  readonly size: number
  /** The running sum at its trailer. */
  readonly crc: number
  /** The next offset to be given. */
  readonly tail: number
  readonly state: string | undefined
  /** Bytes behind the last good commit. */
  readonly torn: number
  /** Whether a commit that does not fit lies before one that does. */
  readonly damaged: boolean
}

/** Most logs end in commits far smaller than this. */
const firstWindow = 64 * 1024

/**
 * Reads as little of the file's end as tells. Undefined when no commit in it fits: "empty" tells a log that was never
 * made from one that is damaged from its start.
 */
export const recover = Effect.fnUntraced(function*(file: DiskFile) {
  const fileSize = yield* file.size
  for (let window = firstWindow;; window *= 2) {
    const length = Math.min(window, fileSize)
    const bytes = Buffer.allocUnsafe(length)
    const got = yield* file.read(bytes, length, fileSize - length)
    const recovered = scan(bytes.subarray(0, got), fileSize - length)
    if (recovered !== undefined) return recovered
    if (length === fileSize) return bytes.includes(lineFeed) ? "damaged" : "empty"
  }
}) satisfies (file: DiskFile) => Effect.Effect<Recovered | "damaged" | "empty", DiskFailure>

/** Recovers from the last bytes of a file, which begin at `position` of it; undefined when they are too few to tell. */
export const scan = (bytes: Buffer, position: number): Recovered | undefined => {
  // The sum at the trailer before, and where its digits stand; -1 while there is none to go on from.
  let crc = position === 0 ? 0 : -1
  let from = 0
  let tail = position === 0 ? 0 : -1
  let misfit = false
  let good: Recovered | undefined

  for (let start = position === 0 ? 0 : bytes.indexOf(lineFeed) + 1; start < bytes.length;) {
    const end = bytes.indexOf(lineFeed, start) + 1
    if (end === 0) break
    if (trailerLength(bytes, start, end) > 0) {
      const digits = end - crcToEnd
      const written = writtenCrc(bytes, end)
      if (isEventLine(bytes, start)) tail = lineOffset(bytes, start) + 1
      if (crc >= 0 && written === runningCrc(bytes, from, digits, crc)) {
        const size = position + end
        const torn = bytes.length - end
        const damaged = misfit || good?.damaged === true
        good = { size, crc: written, tail, state: trailerState(bytes, start, end), torn, damaged }
      } else if (crc >= 0) {
        misfit = true
      }
      crc = written
      from = digits
    }
    start = end
  }
  return good === undefined || good.tail < 0 ? undefined : good
}
