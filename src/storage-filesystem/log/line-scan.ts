/**
 * Reads the lines of a log one after the other, and checks whether each commit's sum continues the one before
 * (docs/storage-format.md 3 and 4). A log can be larger than memory, and so can a damaged line: it holds only a piece of the
 * file at a time.
 */
import { Effect } from "effect"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import {
  crcToEnd,
  lineFeed,
  plainTrailer,
  runningCrc,
  trailerBack,
  trailerLength,
  writtenCrc
} from "../format/record-codec.ts"

export interface ScannedLine {
  /** Where in the file the line begins, and where it ends, its line feed included. */
  readonly start: number
  readonly end: number
  /** From `at` on these are the line's first 64 bytes, or as many as it has. Valid until the next line. */
  readonly bytes: Buffer
  readonly at: number
  readonly trailer: Trailer | undefined
}

/** The end of a commit. */
export interface Trailer {
  /** Whether its sum continues the one of the trailer before. */
  readonly fits: boolean
  /** How far back it says the state begins; undefined if it says nothing, -1 if that is no number. */
  readonly back: number | undefined
  /** Its length, and its bytes, valid until the next line; undefined if only the file has all of them. */
  readonly length: number
  readonly bytes: Buffer | undefined
}

/** The first bytes of a line show its kind. */
const headBytes = 64

/** One read: far more than a line, far less than a log. */
const pieceBytes = 1024 * 1024

/** Kept from piece to piece: more than the digits of a trailer, and more than the head of a line. */
const keptBytes = 128

/**
 * Calls `onLine` for each line of the file's first `size` bytes, without the bytes behind the last line feed. The next line
 * waits for the effect that `onLine` returns.
 */
export const scanLines = Effect.fnUntraced(
  function*(
    file: DiskFile,
    size: number,
    onLine: (line: ScannedLine) => Effect.Effect<void, DiskFailure> | undefined
  ): Effect.fn.Return<void, DiskFailure> {
    const buffer = Buffer.allocUnsafe(keptBytes + Math.min(pieceBytes, size))
    /** The head of a line that began before the buffer does. */
    const head = Buffer.alloc(headBytes)
    let position = 0
    let filled = 0
    /** These are indices of the buffer. */
    let lineAt = 0
    let summed = 0
    let crc = 0
    while (position + filled < size) {
      const wanted = Math.min(buffer.length - filled, size - position - filled)
      const got = yield* file.read(buffer.subarray(filled), wanted, position + filled)
      // The file was cut meanwhile.
      if (got === 0) break
      const bytes = buffer.subarray(0, filled + got)
      for (let feed = bytes.indexOf(lineFeed, filled); feed >= 0; feed = bytes.indexOf(lineFeed, feed + 1)) {
        const end = feed + 1
        const length = trailerLength(bytes, lineAt, end)
        let trailer: Trailer | undefined
        if (length > 0) {
          const written = writtenCrc(bytes, end)
          const fits = crc >= 0 && written >= 0 && runningCrc(bytes, summed, end - crcToEnd, crc) === written
          trailer = {
            fits,
            back: length > plainTrailer ? trailerBack(bytes, end) : undefined,
            length,
            bytes: end < length ? undefined : bytes.subarray(end - length, end)
          }
          crc = written
          summed = end - crcToEnd
        }
        const [from, at] = lineAt < 0 ? [head, 0] : [bytes, lineAt]
        const more = onLine({ start: position + lineAt, end: position + end, bytes: from, at, trailer })
        if (more !== undefined) yield* more
        lineAt = end
      }
      const dropped = Math.max(0, bytes.length - keptBytes)
      if (crc >= 0 && summed < dropped) crc = runningCrc(bytes, summed, dropped, crc)
      if (lineAt >= 0 && lineAt < dropped) bytes.copy(head, 0, lineAt, lineAt + headBytes)
      buffer.copyWithin(0, dropped, bytes.length)
      position += dropped
      filled = bytes.length - dropped
      lineAt -= dropped
      summed = Math.max(0, summed - dropped)
    }
  }
)
