/**
 * One open log: commits at its end, reads anywhere, offsets found by search (docs/storage-format.md 5 and 6).
 *
 * `size` is where the last acknowledged commit ends; nothing behind it is ever read. After a failed write the file is cut
 * back to it; after a failed flush the descriptor is not trusted again (a repeated fsync lies) until the file has been
 * opened anew, cut, flushed and read back.
 */
import { Effect } from "effect"
import type { Log, StreamDescription } from "../durable-streams/storage.ts"
import type { StorageFailed, StorageFull } from "../durable-streams/errors.ts"
import { LogDamaged, StreamNotFound } from "../durable-streams/errors.ts"
import { toOffset } from "../durable-streams/types.ts"
import { toReadError, toStorageError } from "./disk-errors.ts"
import { DiskFailure } from "./disk.ts"
import { findCommit, type Place } from "./find-commit.ts"
import type { OpenFile } from "./open-files.ts"
import { takeBuffer } from "./read-buffers.ts"
import {
  afterTrailer,
  crcToEnd,
  encodeCommit,
  lineFeed,
  runningCrc,
  toBlock,
  trailerLength,
  writtenCrc
} from "./record-codec.ts"
import { recover, type Recovered } from "./recovery.ts"

export type Durability = "fsync" | "os"

/** Places remembered, so that a reader goes on where its last read ended. More readers than this search anew. */
const placesMax = 64

/** The least one read takes from the disk: a system call costs as much as these bytes. */
const readBytesMin = 16 * 1024

export const makeLog = (
  file: OpenFile,
  description: StreamDescription,
  opened: Recovered,
  durability: Durability
): Log => {
  const { name } = description
  let { crc, size, tail } = opened
  let trusted = true
  const places = new Map<number, Place>()

  const remember = (offset: number, place: Place) => {
    places.delete(offset)
    places.set(offset, place)
    if (places.size > placesMax) places.delete(places.keys().next().value!)
  }

  /** Brings the file back to the last acknowledged commit, and believes it only when it reads back as that. */
  const mend = Effect.gen(function*() {
    yield* file.release
    yield* file.use((disk) =>
      Effect.gen(function*() {
        yield* disk.truncate(size)
        if (durability === "fsync") yield* disk.flush
        const found = yield* recover(disk)
        if (typeof found === "string" || found.size !== size || found.crc !== crc) {
          return yield* new DiskFailure({ code: "EIO", call: "read back", path: file.path, cause: undefined })
        }
      })
    )
    trusted = true
  })

  const commit: Log["commit"] = Effect.fnUntraced(
    function*(commit) {
      if (!trusted) yield* mend
      const encoded = encodeCommit(commit, crc)
      yield* file.use((disk) =>
        Effect.gen(function*() {
          if ((yield* disk.links) === 0) return yield* new StreamNotFound({ stream: name })
          trusted = false
          yield* disk.write(encoded.bytes, size).pipe(
            Effect.tapError(() =>
              disk.truncate(size).pipe(Effect.andThen(Effect.sync(() => trusted = true)), Effect.ignore)
            )
          )
          if (durability === "fsync") yield* Effect.tapError(disk.flush, () => Effect.ignore(mend))
          trusted = true
        })
      )
      size += encoded.bytes.length
      crc = encoded.crc
      tail += commit.events.count
    },
    Effect.catchTag(
      "DiskFailure",
      (failure): Effect.Effect<never, StorageFailed | StorageFull | StreamNotFound> =>
        Effect.fail(
          failure.call === "open" && failure.code === "ENOENT"
            ? new StreamNotFound({ stream: name })
            : toStorageError("append to", name, failure)
        )
    )
  )

  const read: Log["read"] = Effect.fnUntraced(function*(from, bytesMax) {
    const known = places.get(from)
    const end = size
    return yield* file.use((disk) =>
      Effect.gen(function*() {
        const place = known ?? (yield* findCommit(disk, from, { offset: tail, position: end }, places))
        // Made only when it is told: an error takes down the stack, which costs more than the read.
        const damage = Effect.suspend(() => Effect.fail(new LogDamaged({ stream: name, offset: toOffset(from) })))
        if (place === undefined) return yield* damage
        for (let length = Math.max(bytesMax, readBytesMin);; length *= 2) {
          const wanted = Math.min(length, end - place.position)
          const { bytes, release } = takeBuffer(wanted)
          if ((yield* disk.read(bytes, wanted, place.position)) < wanted) return yield* damage
          const commits = wholeCommits(bytes)
          if (commits === 0 && wanted < end - place.position) continue
          const sound = commits > 0 && fits(bytes, commits, place.crc)
            ? commits
            : firstMisfit(bytes, commits, place.crc)
          if (sound === 0) return yield* damage
          const block = toBlock(bytes, 0, sound, place.offset, from)
          const next = from + block.count
          if (next <= from) return yield* damage
          remember(next, { offset: next, position: place.position + sound, crc: writtenCrc(bytes, sound) })
          return { ...block, release }
        }
      })
    )
  }, Effect.catchTag("DiskFailure", (failure) => Effect.fail(toReadError("read", name, failure))))

  return { description, tail, state: opened.state, commit, read }
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

const fits = (bytes: Buffer, end: number, crc: number): boolean =>
  runningCrc(bytes, 0, end - crcToEnd, afterTrailer(crc)) === writtenCrc(bytes, end)

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
