/**
 * Reads of one log's own events, checked, from wherever they lie (docs/storage-format.md 6).
 */
import { Effect, Semaphore } from "effect"
import { LogDamaged } from "../../domain/errors.ts"
import type { EventBlock, StreamName } from "../../domain/types.ts"
import { toOffset } from "../../domain/types.ts"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import type { OpenFile } from "../disk/open-files.ts"
import { takeToRead } from "../disk/spare-buffers.ts"
import {
  afterTrailer,
  crcToEnd,
  fits,
  lineFeed,
  runningCrc,
  toBlock,
  trailerLength,
  writtenCrc
} from "../format/record-codec.ts"
import type { Bound, Place, Search } from "./find-commit.ts"
import { findCommit } from "./find-commit.ts"

/** Places remembered, so that a reader goes on where its last read ended. More readers than this search anew. */
const placesMax = 64

/**
 * Reads of all logs at once: Node has four threads for them. A read takes its memory before its turn comes, some megabytes
 * where a commit is large, and a thousand readers would take as much a thousand times.
 */
const reading = Semaphore.makeUnsafe(8)

const searches: ReadonlyArray<Search> = ["direct", "wary", "lowest"]

const noPlaces: ReadonlyMap<number, Place> = new Map()

/** Lines of one offset that are tried in a search: the one that is damaged, and another that was appended after that. */
const triesMax = 4

/** The least one read takes from the disk: a system call costs as much as these bytes. */
const readBytesMin = 16 * 1024

export interface LogReader {
  /** At least the event at `from`, which must be one of the log's own, and as many more as fit into `bytesMax`, about. */
  readonly read: (from: number, bytesMax: number) => Effect.Effect<EventBlock, DiskFailure | LogDamaged>
}

/**
 * `first` is the log's first offset, `end` its tail and length now. Who reads is told of damage each time, the server's log once
 * for each place.
 */
export const makeLogReader = (file: OpenFile, name: StreamName, first: number, end: () => Bound): LogReader => {
  const places = new Map<number, Place>()
  const logged = new Set<number>()

  const tell = (offset: number) =>
    Effect.suspend(() => {
      if (logged.has(offset) || logged.size === placesMax) return Effect.void
      logged.add(offset)
      return Effect.annotateLogs(Effect.logError("A log is damaged; it is left as it is"), {
        stream: name,
        path: file.path,
        offset: toOffset(offset)
      })
    })

  const remember = (offset: number, place: Place) => {
    places.delete(offset)
    places.set(offset, place)
    if (places.size > placesMax) places.delete(places.keys().next().value!)
  }

  /** The events from `from` on in the commits that begin at the place; undefined where those are not sound. */
  const readAt = Effect.fnUntraced(
    function*(disk: DiskFile, place: Place, from: number, bytesMax: number, end: Bound) {
      for (let length = Math.max(bytesMax, readBytesMin);; length *= 2) {
        const wanted = Math.min(length, end.position - place.position)
        const { bytes, release } = takeToRead(wanted)
        if ((yield* disk.read(bytes, wanted, place.position)) < wanted) return undefined
        const commits = wholeCommits(bytes)
        const isAll = wanted === end.position - place.position
        if (commits === 0 && !isAll) {
          release?.()
          continue
        }
        const sound = commits > 0 && fits(bytes, commits, place.crc) ? commits : firstMisfit(bytes, commits, place.crc)
        if (sound === 0) return undefined
        const block = toBlock(bytes, 0, sound, place.offset, from)
        // Commits without an event, and the one behind them is longer than what was read.
        if (block.count === 0 && sound === commits && !isAll) continue
        if (block.count === 0) return undefined
        const next = from + block.count
        const position = place.position + sound
        // Where the tail is, the log ends: between them is damage, and the next commit is behind it.
        if (next < end.offset || position === end.position) {
          remember(next, { offset: next, position, crc: writtenCrc(bytes, sound) })
        }
        return { ...block, release }
      }
    }
  )

  /** The first line that is found is the right one, unless the log is damaged: that is logged, also where another one is. */
  const searched = Effect.fnUntraced(function*(disk: DiskFile, from: number, bytesMax: number, end: Bound) {
    // Places between which damage lies lead a search astray, too.
    for (const known of places.size === 0 ? [noPlaces] : [places, noPlaces]) {
      for (const search of searches) {
        let after = -1
        for (let tries = 0; tries < triesMax; tries++) {
          const found = yield* findCommit(disk, from, first, end, known, search, after)
          if (found === undefined) break
          const block = yield* readAt(disk, found, from, bytesMax, end)
          if (block !== undefined) return block
          yield* tell(from)
          after = found.line
        }
      }
    }
    return undefined
  })

  return {
    read: (from, bytesMax) => {
      const known = places.get(from)
      const bound = end()
      return reading.withPermit(file.use((disk) =>
        Effect.gen(function*() {
          if (known !== undefined) {
            const block = yield* readAt(disk, known, from, bytesMax, bound)
            if (block !== undefined) return block
            yield* tell(from)
            // What follows the event before is not this one: it can be somewhere else all the same.
            places.delete(from)
          }
          const block = yield* searched(disk, from, bytesMax, bound)
          if (block !== undefined) return block
          yield* tell(from)
          return yield* new LogDamaged({ stream: name, offset: toOffset(from) })
        })
      ))
    }
  }
}

/** Where the last whole commit in the bytes ends; 0 when there is none. */
const wholeCommits = (bytes: Buffer): number => {
  for (let end = bytes.lastIndexOf(lineFeed) + 1; end > 0;) {
    const start = end < 2 ? 0 : bytes.lastIndexOf(lineFeed, end - 2) + 1
    if (trailerLength(bytes, start, end) > 0) return end
    end = start
  }
  return 0
}

/** Where the first commit that does not fit begins. */
const firstMisfit = (bytes: Buffer, commits: number, crc: number): number => {
  let sum = afterTrailer(crc)
  let sound = 0
  for (let start = 0, from = 0; start < commits;) {
    const end = bytes.indexOf(lineFeed, start) + 1
    if (trailerLength(bytes, start, end) > 0) {
      const digits = end - crcToEnd
      sum = runningCrc(bytes, from, digits, sum)
      if (sum !== writtenCrc(bytes, end)) return sound
      sound = end
      from = digits
    }
    start = end
  }
  return sound
}
