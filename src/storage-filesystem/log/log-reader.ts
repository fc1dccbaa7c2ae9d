/**
 * Reads one log's own events and checks them, wherever in the file they lie (docs/storage-format.md 6).
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

/** Places that are remembered, so that a reader continues where its last read ended. More readers than this search anew. */
const placesMax = 64

/**
 * Reads of all logs at once: Node has four threads for them. A read takes its memory before its turn comes, some megabytes if
 * a commit is large, and a thousand readers would take that a thousand times.
 */
const reading = Semaphore.makeUnsafe(8)

const searches: ReadonlyArray<Search> = ["direct", "wary", "lowest"]

const noPlaces: ReadonlyMap<number, Place> = new Map()

/** Lines of one offset that a search tries: the damaged one, and one that was appended after the damage. */
const triesMax = 4

/** The least one read takes from the disk: a system call costs as much as these bytes. */
const readBytesMin = 16 * 1024

export interface LogReader {
  /** Returns at least the event at `from`, which must be the log's own, and about as many more as fit into `bytesMax`. */
  readonly read: (from: number, bytesMax: number) => Effect.Effect<EventBlock, DiskFailure | LogDamaged>
}

/**
 * `first` is the log's first offset, `end` its tail and length now. Each read of damaged events fails; the server's log names
 * each damaged place once.
 */
export const makeLogReader = (file: OpenFile, name: StreamName, first: number, end: () => Bound): LogReader => {
  const places = new Map<number, Place>()
  const logged = new Set<number>()

  const logDamage = (offset: number) =>
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

  /** Reads the events from `from` on in the commits that begin at the place; undefined if those commits are not sound. */
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
        // Commits without an event, and the commit behind them is longer than the read.
        if (block.count === 0 && sound === commits && !isAll) continue
        if (block.count === 0) return undefined
        const next = from + block.count
        const position = place.position + sound
        // At the tail the log must end: otherwise damage lies between, and the next commit behind it.
        if (next < end.offset || position === end.position) {
          remember(next, { offset: next, position, crc: writtenCrc(bytes, sound) })
        }
        return { ...block, release }
      }
    }
  )

  /** Searches for the event. Only in a damaged log is the first line not the right one, which is logged even if another one is. */
  const searchFor = Effect.fnUntraced(function*(disk: DiskFile, from: number, bytesMax: number, end: Bound) {
    // Damage between remembered places also misleads a search.
    for (const known of places.size === 0 ? [noPlaces] : [places, noPlaces]) {
      for (const search of searches) {
        let after = -1
        for (let tries = 0; tries < triesMax; tries++) {
          const found = yield* findCommit(disk, from, first, end, known, search, after)
          if (found === undefined) break
          const block = yield* readAt(disk, found, from, bytesMax, end)
          if (block !== undefined) return block
          yield* logDamage(from)
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
            yield* logDamage(from)
            // Another commit follows the event before; this event may still be somewhere else.
            places.delete(from)
          }
          const block = yield* searchFor(disk, from, bytesMax, bound)
          if (block !== undefined) return block
          yield* logDamage(from)
          return yield* new LogDamaged({ stream: name, offset: toOffset(from) })
        })
      ))
    }
  }
}

/** Where the last whole commit in the bytes ends; 0 if there is none. */
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
