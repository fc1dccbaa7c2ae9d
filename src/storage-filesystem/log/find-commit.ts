/**
 * Finds the commit that holds an offset by a search over the file (docs/storage-format.md 6): offsets are dense and the lines
 * of a log are alike, so a guess by proportion is nearly always close; a guess in the middle bounds the rest.
 */
import { Effect } from "effect"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import { takeToRead } from "../disk/spare-buffers.ts"
import { isEventLine, lineFeed, lineOffset, trailerLength, writtenCrc } from "../format/record-codec.ts"

/** The beginning of a commit: its first event's offset, its position, and the running sum at the trailer before it. */
export interface Place {
  readonly offset: number
  readonly position: number
  readonly crc: number
}

/** An offset, and where its line would begin. */
export interface Bound {
  readonly offset: number
  readonly position: number
}

/** A commit, and where in it the line of an offset begins. */
export interface Found extends Place {
  readonly line: number
}

/**
 * How a search treats damage, which can mislead it. A line can say a wrong offset: a wary search believes only a line that the
 * next line confirms. Lines can stand in the file twice: a lowest search takes the first ones.
 */
export type Search = "direct" | "wary" | "lowest"

/** One probe: large enough for a few ordinary events. */
const probeBytes = 4 * 1024

/** A range this small is read rather than searched. */
const scanBytes = 32 * 1024

/**
 * Returns undefined if the lines around are no lines of a log. `end` is the log's tail and length; a line at or before
 * `after` is not taken.
 */
export const findCommit = Effect.fnUntraced(function*(
  file: DiskFile,
  offset: number,
  first: number,
  end: Bound,
  known: ReadonlyMap<number, Place>,
  search: Search = "direct",
  after = -1
): Effect.fn.Return<Found | undefined, DiskFailure> {
  let low: Bound = { offset: first, position: 0 }
  let high = end
  for (const place of known.values()) {
    if (place.offset <= offset && place.offset > low.offset) low = place
    if (place.offset > offset && place.offset < high.offset) high = place
  }
  for (let turn = 0; high.position - low.position > scanBytes; turn++) {
    const share = turn % 2 === 0 ? (offset - low.offset) / (high.offset - low.offset) : 0.5
    const range = high.position - low.position
    // A little before the guess, so that the probe more often holds the wanted line than just misses it.
    const guess = low.position + Math.min(Math.max(Math.floor(range * share) - probeBytes / 2, 1), range - 1)
    const line = yield* lineAfter(file, guess, high.position, search === "wary")
    if (line === undefined) high = { offset: high.offset, position: guess }
    else if (line.offset < 0) return undefined
    else if (line.offset < offset || (line.offset === offset && search !== "lowest")) low = line
    else high = { offset: line.offset, position: guess }
  }
  const line = yield* lineOf(file, offset, low.position, end.position, after)
  return line === undefined ? undefined : yield* commitAround(file, offset, line)
})

/** The first event line that begins behind `position`; undefined if none begins before `end`. */
const lineAfter = Effect.fnUntraced(function*(file: DiskFile, position: number, end: number, wary: boolean) {
  let window = probeBytes
  let skip = 0
  while (position + skip < end) {
    const length = Math.min(window, end - position - skip)
    const bytes = Buffer.allocUnsafe(length)
    yield* file.read(bytes, length, position + skip)
    for (let at = bytes.indexOf(lineFeed) + 1; at > 0 && at + 32 <= length; at = bytes.indexOf(lineFeed, at) + 1) {
      if (!isEventLine(bytes, at)) continue
      const offset = lineOffset(bytes, at)
      if (!wary || isConfirmed(bytes, at, offset)) return { offset, position: position + skip + at }
    }
    if (wary && position + length === end) return undefined
    // Keep the last bytes, since a line may begin in them; a wary search keeps all, since it must see two lines.
    skip += wary ? 0 : Math.max(length - 32, 1)
    window *= 2
  }
  return undefined
})

/** Whether the event behind the line at `at` has the next offset. */
const isConfirmed = (bytes: Buffer, at: number, offset: number): boolean => {
  let next = bytes.indexOf(lineFeed, at) + 1
  while (next > 0 && next + 32 <= bytes.length && !isEventLine(bytes, next)) next = bytes.indexOf(lineFeed, next) + 1
  return offset >= 0 && next > 0 && next + 32 <= bytes.length && lineOffset(bytes, next) === offset + 1
}

/** The position of the line of `offset` behind `after`, searched forwards from the line that begins at `position`. */
const lineOf = Effect.fnUntraced(function*(
  file: DiskFile,
  offset: number,
  position: number,
  end: number,
  after: number
) {
  let window = scanBytes
  let at = position
  while (at < end) {
    const length = Math.min(window, end - at)
    const bytes = Buffer.allocUnsafe(length)
    yield* file.read(bytes, length, at)
    let start = 0
    while (start + 32 <= length) {
      const found = isEventLine(bytes, start) ? lineOffset(bytes, start) : -1
      if (found === offset && at + start > after) return at + start
      const next = bytes.indexOf(lineFeed, start) + 1
      if (next === 0) break
      start = next
    }
    if (start === 0) {
      if (length === end - at) return undefined
      window *= 2
    }
    at += start
  }
  return undefined
})

/** The commit to which the line at `position` belongs: it begins behind the nearest trailer before that line. */
const commitAround = Effect.fnUntraced(function*(file: DiskFile, offset: number, position: number) {
  for (let window = probeBytes;; window *= 2) {
    const length = Math.min(window, position)
    const { bytes, release } = takeToRead(length)
    yield* file.read(bytes, length, position - length)
    const trailer = lastTrailer(bytes, length, length === position)
    release?.()
    if (trailer !== undefined) {
      const { crc, end, events } = trailer
      return crc < 0
        ? undefined
        : { offset: offset - events, position: position - length + end, crc, line: position }
    }
    if (length === position) return undefined
  }
})

/** The last trailer in the bytes, and how many lines are behind it; undefined if none is whole. */
const lastTrailer = (bytes: Buffer, length: number, isAll: boolean) => {
  let events = 0
  for (let end = length; end > 0;) {
    // A negative position would mean the other end.
    const start = end < 2 ? 0 : bytes.lastIndexOf(lineFeed, end - 2) + 1
    if (start === 0 && !isAll) return undefined
    if (trailerLength(bytes, start, end) > 0) return { crc: writtenCrc(bytes, end), end, events }
    events++
    end = start
  }
  return undefined
}
