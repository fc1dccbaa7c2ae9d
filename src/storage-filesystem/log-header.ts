/**
 * The first line of a log, read from its file (docs/storage-format.md 3).
 */
import { Effect } from "effect"
import type { StreamDescription } from "../durable-streams/storage.ts"
import type { DiskFailure, DiskFile } from "./disk.ts"
import { decodeHeader, isSoundHeader, lineFeed } from "./record-codec.ts"

export interface Header {
  readonly description: StreamDescription
  /** Whether its own sum fits. */
  readonly sound: boolean
}

/** More than any header: it has two names of 512 bytes, of which each can take 2 characters in JSON, and a content type. */
const headerBytesMax = 4 * 1024

/** Undefined when the first line is no header. */
export const readHeader = Effect.fnUntraced(function*(file: DiskFile) {
  const bytes = Buffer.allocUnsafe(headerBytesMax)
  const got = yield* file.read(bytes, headerBytesMax, 0)
  const end = bytes.subarray(0, got).indexOf(lineFeed) + 1
  const description = end === 0 ? undefined : decodeHeader(bytes.toString("utf8", 0, end - 1))
  return description === undefined ? undefined : { description, sound: isSoundHeader(bytes, end) }
}) satisfies (file: DiskFile) => Effect.Effect<Header | undefined, DiskFailure>
