/**
 * Rounds: the commits of several logs, written to the active area with one write and one flush (docs/storage-format.md 10).
 */
import { Effect } from "effect"
import { offsetDigits } from "../../domain/types.ts"
import type { DiskFailure } from "../disk/disk.ts"
import { CommitMemory } from "../disk/spare-buffers.ts"
import { encodeAreaHeader, encodeRound } from "../format/journal-codec.ts"
import type { Areas, JournaledLog } from "./areas.ts"

export interface JournaledCommit {
  readonly log: JournaledLog
  readonly position: number
  readonly bytes: Uint8Array
}

export interface Rounds {
  /** How many bytes the commits take in an area, at most. */
  readonly bytesOf: (commits: ReadonlyArray<JournaledCommit>) => number
  /** Makes the commits durable, for which the active area has room. One call at a time. */
  readonly write: (commits: ReadonlyArray<JournaledCommit>) => Effect.Effect<void, DiskFailure>
  /** Whether a round is being written. */
  readonly isWriting: () => boolean
}

/** An area's file grows by this much at a time: about one flush in three thousand commits pays for the new length. */
const growthBytes = 1024 * 1024

/** The lines of an area and of a round. */
const headerBytes = encodeAreaHeader(0).bytes.length + encodeRound([], 0).bytes.length
/** A record without its commit and its log's name: two numbers, of 16 digits at most. */
const recordBytesMax = `{"log":"","position":,"bytes":}\n`.length + 2 * offsetDigits

/** `fail` is called before a write that failed is undone. */
export const makeRounds = (areas: Areas, bytesMax: number, fail: () => void): Rounds => {
  let isWriting = false

  const write = (commits: ReadonlyArray<JournaledCommit>) =>
    Effect.suspend(() => {
      const area = areas.active()
      const header = area.used === 0 ? encodeAreaHeader(areas.generation()) : undefined
      const memory = new CommitMemory()
      const round = encodeRound(
        commits.map(({ bytes, log, position }) => ({ log: log.key, position, bytes })),
        header?.crc ?? area.crc,
        memory.allocate
      )
      const bytes = header === undefined ? round.bytes : Buffer.concat([header.bytes, round.bytes])
      const end = area.used + bytes.length
      const length = end <= area.length ? area.length : Math.min(end + growthBytes, Math.max(end, bytesMax))
      const padded = length === area.length ? bytes : Buffer.concat([bytes], length - area.used)
      const file = area.file!
      isWriting = true
      return Effect.tapError(
        Effect.map(Effect.andThen(file.write(padded, area.used), file.flush), () => {
          memory.release()
          area.used = end
          area.length = length
          area.crc = round.crc
          for (const { log } of commits) area.unsettled.set(log.key, log)
        }),
        // Their own files decide now whether the commits are kept, so no replay may bring them back.
        () => Effect.andThen(Effect.sync(fail), Effect.ignore(file.truncate(area.used)))
      ).pipe(Effect.ensuring(Effect.sync(() => isWriting = false)))
    })

  return {
    bytesOf: (commits) => {
      let bytes = headerBytes
      for (const { bytes: commit, log } of commits) bytes += commit.length + log.key.length + recordBytesMax
      return bytes
    },
    write,
    isWriting: () => isWriting
  }
}
