/**
 * Reads the state of a log (docs/storage-format.md 4): now and then a commit carries the whole state, and the commits behind
 * it carry their changes. So a bounded piece at the end of the file is enough.
 */
import { Effect } from "effect"
import { members } from "../../event/json-scan.ts"
import type { StateChange } from "../../storage/storage.ts"
import { applyState } from "../../storage/storage.ts"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import {
  afterTrailer,
  crcToEnd,
  lineFeed,
  runningCrc,
  trailerLength,
  trailerState,
  writtenCrc
} from "../format/record-codec.ts"
import type { LogEnd } from "./find-tail.ts"

/** Returns the state after the last good commit; undefined if the commits that carry it are damaged. */
export const readState = Effect.fnUntraced(function*(
  file: DiskFile,
  logEnd: LogEnd
): Effect.fn.Return<Map<string, string> | undefined, DiskFailure> {
  const { commitAt, crc, size, stateFrom } = logEnd
  const state = new Map<string, string>()
  if (stateFrom === undefined) return state
  // The sum continues from the digits of the trailer before.
  const position = stateFrom - crcToEnd
  if (position < 0 || stateFrom >= size) return undefined
  const bytes = Buffer.allocUnsafe(size - position)
  if ((yield* file.read(bytes, bytes.length, position)) < bytes.length) return undefined
  // The last commit alone was checked with the log's end, even if the digits before it are damaged.
  if (stateFrom !== commitAt && !fits(bytes, crc)) return undefined
  for (let start = crcToEnd; start < bytes.length;) {
    const end = bytes.indexOf(lineFeed, start) + 1
    if (end === 0) return undefined
    const text = trailerLength(bytes, start, end) > 0 ? trailerState(bytes, start, end)?.text : undefined
    if (text !== undefined) {
      const changes = changesIn(text)
      if (changes === undefined) return undefined
      applyState(state, changes)
    }
    start = end
  }
  return state
})

/** Whether the sum at the digits in front continues to `crc`. */
const fits = (bytes: Buffer, crc: number): boolean => {
  const before = writtenCrc(bytes, crcToEnd)
  return before >= 0 && runningCrc(bytes, crcToEnd, bytes.length - crcToEnd, afterTrailer(before)) === crc
}

/**
 * The changes in the text of a state; undefined if it is no object. Values are taken verbatim, and no key becomes an object's
 * key: there V8 takes one key for another (nodejs/node#63785), and a producer would get another producer's number.
 */
export const changesIn = (text: string): ReadonlyArray<StateChange> | undefined => {
  const bytes = Buffer.from(text)
  return members(bytes)?.map(([key, start, end]): StateChange => {
    const value = bytes.toString("utf8", start, end)
    return [key, value === "null" ? undefined : value]
  })
}
