/**
 * One open log: commits at its end, reads anywhere (docs/storage-format.md 4 to 6).
 *
 * `size` is where the last acknowledged commit ends; nothing behind it is ever read. After a failed write the file is cut
 * back to it. After a failed flush the file is a suspect, since a repeated fsync lies: it is restored before the next
 * commit, which means opened anew, cut, given its unsettled commits by the journal, flushed and read back.
 */
import { type Clock, Effect, Exit } from "effect"
import { StorageFailed, StreamNotFound } from "../../domain/errors.ts"
import type { StorageError, StorageFull } from "../../domain/errors.ts"
import type { StreamName } from "../../domain/types.ts"
import type { Commit, Log, StreamDescription } from "../../storage/storage.ts"
import { toReadError, toStorageError, tryEncode } from "../disk/disk-errors.ts"
import type { DiskFile } from "../disk/disk.ts"
import { DiskFailure } from "../disk/disk.ts"
import type { OpenFile } from "../disk/open-files.ts"
import { CommitMemory } from "../disk/spare-buffers.ts"
import { toFileName } from "../format/file-names.ts"
import { encodeCommit } from "../format/record-codec.ts"
import type { Flusher } from "../journal/flusher.ts"
import type { Journal } from "../journal/journal.ts"
import { findTail, type LogEnd } from "../log/find-tail.ts"
import { makeLogReader } from "../log/log-reader.ts"
import type { Fence } from "./flush-on-open.ts"
import { LoggedState } from "./logged-state.ts"

export interface LogOptions {
  readonly file: OpenFile
  readonly description: StreamDescription
  readonly hidden: boolean
  readonly logEnd: LogEnd
  /** Whether the file holds something behind the log's end that must not be read. */
  readonly isFenced: boolean
  /** Called when a suspect file was restored. */
  readonly onRestored: () => void
  /** Undefined if the commits that carry it are damaged. */
  readonly state: Map<string, string> | undefined
  /** Undefined if commits are durable as soon as the kernel has them. */
  readonly flusher: Flusher | undefined
  readonly journal: Journal
  readonly clock: Clock.Clock
  readonly touchedAt: number
  readonly touch: Log["touch"]
  /** Reads the events that a fork inherits. */
  readonly readInherited: Log["read"]
  /** Called when a commit fails, which may be the disk's fault. */
  readonly onFailure: () => void
}

/** How often a log asks whether its file was removed: the question costs as much as a small write. */
const askEveryMillis = 100

/** `fence` returns where the file must not be read behind, if its last flush failed: the next opening must know. */
export const makeLog = (options: LogOptions): { readonly log: Log; readonly fence: () => Fence | undefined } => {
  const { clock, description, file, flusher, journal, logEnd } = options
  const { name } = description
  const journaled = { key: toFileName(name), file, size: () => size }
  const first = description.forkedFrom?.offset ?? 0
  const state = new LoggedState(options.state ?? new Map(), logEnd.stateFrom)
  const failIfRemoved = makeFailIfRemoved(name, clock)
  let { crc, size, tail } = logEnd
  let isSuspect = options.isFenced
  const reader = makeLogReader(file, name, first, () => ({ offset: tail, position: size }))

  /** Brings a suspect file back to the last acknowledged commit, and trusts it only if it reads back as that. */
  const restore = Effect.gen(function*() {
    yield* file.release
    yield* file.use((disk) =>
      Effect.gen(function*() {
        yield* disk.truncate(size)
        yield* journal.replayUnsettled(journaled, disk)
        if (flusher !== undefined) yield* disk.flush
        const found = yield* findTail(disk, first)
        if (typeof found === "string" || found.size !== size || found.crc !== crc) {
          return yield* new DiskFailure({ code: "EIO", call: "read back", path: file.path, cause: undefined })
        }
      })
    )
    isSuspect = false
    options.onRestored()
  })

  const write = (
    { events, state: changes }: Commit
  ): Effect.Effect<void, DiskFailure | StorageFailed | StreamNotFound> => {
    const entry = state.entryFor(changes, size)
    const memory = new CommitMemory()
    const commit = tryEncode("append to", name, () => encodeCommit(events, entry, crc, memory.allocate))
    if (Exit.isFailure(commit)) return Effect.failCause(commit.cause)
    const { bytes, crc: sum } = commit.value
    return Effect.map(file.use((disk) => Effect.flatMap(failIfRemoved(disk), () => store(disk, bytes))), () => {
      memory.release()
      isSuspect = false
      state.add(entry, changes, size)
      size += bytes.length
      crc = sum
      tail += events.count
    })
  }

  /** Writes the bytes at the log's end and flushes them. Until both have succeeded, the file is a suspect. */
  const store = (disk: DiskFile, bytes: Uint8Array) => {
    isSuspect = true
    const written = Effect.tapError(disk.write(bytes, size), () =>
      Effect.ignore(Effect.map(disk.truncate(size), () => {
        isSuspect = false
      })))
    return flusher === undefined ?
      written :
      Effect.flatMap(
        written,
        () =>
          Effect.tapError(
            flusher.flush(disk, { log: journaled, position: size, bytes }),
            () => Effect.andThen(Effect.sync(() => journal.suspect(journaled)), Effect.ignore(restore))
          )
      )
  }

  const commit: Log["commit"] = (made) =>
    Effect.catchTag(
      Effect.suspend((): Effect.Effect<void, DiskFailure | StorageError | StreamNotFound> => {
        if (options.state === undefined) return Effect.fail(damagedState(name))
        return isSuspect ? Effect.flatMap(restore, () => write(made)) : write(made)
      }),
      "DiskFailure",
      (failure): Effect.Effect<never, StorageError | StorageFull | StreamNotFound> => {
        options.onFailure()
        return Effect.fail(
          failure.call === "open" && failure.code === "ENOENT"
            ? new StreamNotFound({ stream: name })
            : toStorageError("append to", name, failure)
        )
      }
    )

  const { hidden, readInherited, touch, touchedAt } = options
  const read: Log["read"] = (from, bytesMax) =>
    from < first
      ? readInherited(from, bytesMax)
      : Effect.catchTag(
        reader.read(from, bytesMax),
        "DiskFailure",
        (failure) => Effect.fail(toReadError("read", name, failure))
      )

  return {
    log: { description, hidden, tail, state: state.entries, touchedAt, touch, commit, read },
    fence: () => isSuspect ? { size, crc } : undefined
  }
}

/**
 * Fails if the log's file was removed. It asks only now and then, and loses nothing by that: removing a file also removes
 * its newest commits.
 */
const makeFailIfRemoved = (name: StreamName, clock: Clock.Clock) => {
  let seenAt = -Infinity
  return (disk: DiskFile): Effect.Effect<void, DiskFailure | StreamNotFound> => {
    const now = clock.currentTimeMillisUnsafe()
    // The time of day may be set back; asked for with each commit, it costs less than a clock that may not.
    if (now < seenAt + askEveryMillis && now >= seenAt) return Effect.void
    seenAt = now
    return Effect.flatMap(disk.links, (links) => links === 0 ? new StreamNotFound({ stream: name }) : Effect.void)
  }
}

const damagedState = (name: StreamName) =>
  new StorageFailed({
    message: `What the log of ${JSON.stringify(name)} says of the stream's state is damaged: nothing can be appended.`
  })
