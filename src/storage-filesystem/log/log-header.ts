/**
 * The first line of a log, read from its file (docs/storage-format.md 3).
 */
import { Effect } from "effect"
import type { StreamDescription } from "../../storage/storage.ts"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import { decodeHeader, headerBytesMax, isSoundHeader, lineFeed } from "../format/record-codec.ts"

export interface Header {
  readonly description: StreamDescription
  /** Whether its own sum fits. */
  readonly sound: boolean
}

/** The first read: more than most headers, and one block of most disks. */
const firstWindow = 4 * 1024

/** Returns undefined if the first line is no header. */
export const readHeader = Effect.fnUntraced(
  function*(file: DiskFile): Effect.fn.Return<Header | undefined, DiskFailure> {
    for (let window = firstWindow; window <= headerBytesMax; window *= 2) {
      const bytes = Buffer.allocUnsafe(window)
      const got = yield* file.read(bytes, window, 0)
      const end = bytes.subarray(0, got).indexOf(lineFeed) + 1
      if (end > 0) {
        const description = decodeHeader(bytes.toString("utf8", 0, end - 1))
        return description === undefined ? undefined : { description, sound: isSoundHeader(bytes, end) }
      }
      if (got < window) return undefined
    }
    return undefined
  }
)
