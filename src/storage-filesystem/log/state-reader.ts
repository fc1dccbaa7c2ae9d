/**
 * What the state of a log is (docs/storage-format.md 4): every now and then a commit has all of it, and those behind that
 * one have what they change. So a bounded piece at the end of the file says everything.
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

/** The state as of the last good commit; undefined when the commits that say so are damaged. */
export const readState = Effect.fnUntraced(function*(file: DiskFile, logEnd: LogEnd) {
  const { commitAt, crc, size, stateFrom } = logEnd
  const state = new Map<string, string>()
  if (stateFrom === undefined) return state
  // The digits of the trailer before are where the sum goes on from.
  const position = stateFrom - crcToEnd
  if (position < 0 || stateFrom >= size) return undefined
  const bytes = Buffer.allocUnsafe(size - position)
  if ((yield* file.read(bytes, bytes.length, position)) < bytes.length) return undefined
  // The last commit alone was checked when the log's end was found, whatever became of the digits before it.
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
}) satisfies (file: DiskFile, logEnd: LogEnd) => Effect.Effect<Map<string, string> | undefined, DiskFailure>

/** Whether the sum at the digits in front goes on to be `crc`. */
const fits = (bytes: Buffer, crc: number): boolean => {
  const before = writtenCrc(bytes, crcToEnd)
  return before >= 0 && runningCrc(bytes, crcToEnd, bytes.length - crcToEnd, afterTrailer(before)) === crc
}

/**
 * What the text of a state changes; undefined where it is no object. Values are taken as they stand, and no key goes through
 * an object's: V8 takes one for another there (nodejs/node#63785), and a producer's number would be that of another.
 */
export const changesIn = (text: string): ReadonlyArray<StateChange> | undefined => {
  const bytes = Buffer.from(text)
  return members(bytes)?.map(([key, start, end]): StateChange => {
    const value = bytes.toString("utf8", start, end)
    return [key, value === "null" ? undefined : value]
  })
}
