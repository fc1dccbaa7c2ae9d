/**
 * One open log: commits at its end, reads anywhere (docs/storage-format.md 4 to 6).
 *
 * `size` is where the last acknowledged commit ends; nothing behind it is ever read. After a failed write the file is cut
 * back to it; after a failed flush the descriptor is not trusted again (a repeated fsync lies) until the file has been
 * opened anew, cut, flushed and read back, with what only the journal vouches for written anew.
 */
import { type Clock, Effect, Exit } from "effect"
import { StorageFailed, StreamNotFound } from "../../domain/errors.ts"
import type { StorageError, StorageFull } from "../../domain/errors.ts"
import type { StreamName } from "../../domain/types.ts"
import type { Commit, Log, StateChange, StreamDescription } from "../../storage/storage.ts"
import { applyState } from "../../storage/storage.ts"
import { encoded, toReadError, toStorageError } from "../disk/disk-errors.ts"
import type { DiskFile } from "../disk/disk.ts"
import { DiskFailure } from "../disk/disk.ts"
import type { OpenFile } from "../disk/open-files.ts"
import { CommitMemory } from "../disk/spare-buffers.ts"
import { toFileName } from "../format/file-names.ts"
import type { StateEntry } from "../format/record-codec.ts"
import { encodeCommit, stateText } from "../format/record-codec.ts"
import type { Flusher } from "../journal/flusher.ts"
import type { Journal } from "../journal/journal.ts"
import { recover, type Recovered } from "../log/find-tail.ts"
import { makeLogReader } from "../log/log-reader.ts"

export interface LogOptions {
  readonly file: OpenFile
  readonly description: StreamDescription
  readonly hidden: boolean
  readonly recovered: Recovered
  /** Whether the file has something behind it that is not to be trusted. */
  readonly fenced: boolean
  /** It was not to be trusted, and is again. */
  readonly mended: () => void
  /** Undefined: what says it is damaged. */
  readonly state: Map<string, string> | undefined
  /** Where it is undefined, commits are durable as soon as the kernel has them. */
  readonly flusher: Flusher | undefined
  readonly journal: Journal
  readonly clock: Clock.Clock
  readonly touchedAt: number
  readonly touch: Log["touch"]
  /** Reads what a fork inherits. */
  readonly inherited: Log["read"]
  /** Called when a commit fails, which may be the disk's fault. */
  readonly suspect: () => void
}

/** Bytes of commits that opening a log reads for its state: much less, and writing all of it anew would cost; more, reading. */
const replayBytesMin = 256 * 1024

/** The whole state is written again when this many times its size of commits have followed it: an eighth of the log, at most. */
const replayStates = 8

/** How often it is looked whether the file is still there: a look costs as much as a small write. */
const lookEveryMillis = 100

/** Where a log's last acknowledged commit ends, where its file may have something else there. */
export interface Fence {
  readonly size: number
  readonly crc: number
}

/** `fence` says where the file is not to be trusted behind, if it is not: whoever opens it anew has to know. */
export const makeLog = (options: LogOptions): { readonly log: Log; readonly fence: () => Fence | undefined } => {
  const { clock, description, file, flusher, inherited, journal, recovered, touch } = options
  const { name } = description
  const journaled = { key: toFileName(name), file, size: () => size }
  const first = description.forkedFrom?.offset ?? 0
  const state = options.state ?? new Map<string, string>()
  let { crc, size, stateFrom, tail } = recovered
  let stateBytes = 0
  let trusted = !options.fenced
  let seenAt = -Infinity
  const reader = makeLogReader(file, name, first, () => ({ offset: tail, position: size }))

  /** Brings the file back to the last acknowledged commit, and believes it only when it reads back as that. */
  const mend = Effect.gen(function*() {
    yield* file.release
    yield* file.use((disk) =>
      Effect.gen(function*() {
        yield* disk.truncate(size)
        yield* journal.rewrite(journaled, disk)
        if (flusher !== undefined) yield* disk.flush
        const found = yield* recover(disk, first)
        if (typeof found === "string" || found.size !== size || found.crc !== crc) {
          return yield* new DiskFailure({ code: "EIO", call: "read back", path: file.path, cause: undefined })
        }
      })
    )
    trusted = true
    options.mended()
  })

  /** What the next commit, which begins at `size`, says of the state: all of it where that is due, else what it changes. */
  const entryFor = (changes: ReadonlyArray<StateChange>): StateEntry | undefined => {
    if (stateFrom === undefined && changes.length === 0) return undefined
    if (stateFrom !== undefined && size - stateFrom <= Math.max(replayBytesMin, replayStates * stateBytes)) {
      return { text: changes.length === 0 ? undefined : stateText(changes), back: size - stateFrom }
    }
    const all = new Map(state)
    applyState(all, changes)
    return { text: stateText(all), back: 0 }
  }

  const commit: Log["commit"] = (made) =>
    Effect.catchTag(
      Effect.suspend((): Effect.Effect<void, DiskFailure | StorageError | StreamNotFound> => {
        if (options.state === undefined) return Effect.fail(damagedState(name))
        return trusted ? write(made) : Effect.flatMap(mend, () => write(made))
      }),
      "DiskFailure",
      (failure): Effect.Effect<never, StorageError | StorageFull | StreamNotFound> => {
        options.suspect()
        return Effect.fail(
          failure.call === "open" && failure.code === "ENOENT"
            ? new StreamNotFound({ stream: name })
            : toStorageError("append to", name, failure)
        )
      }
    )

  const write = (
    { events, state: changes }: Commit
  ): Effect.Effect<void, DiskFailure | StorageFailed | StreamNotFound> => {
    const entry = entryFor(changes)
    const memory = new CommitMemory()
    const commit = encoded("append to", name, () => encodeCommit(events, entry, crc, memory.allocate))
    if (Exit.isFailure(commit)) return Effect.failCause(commit.cause)
    const { bytes, crc: sum } = commit.value
    return Effect.map(file.use((disk) => Effect.flatMap(there(disk), () => kept(disk, bytes))), () => {
      memory.release()
      trusted = true
      if (entry !== undefined) {
        if (entry.back === 0) stateBytes = entry.text!.length
        stateFrom = size - entry.back
        applyState(state, changes)
      }
      size += bytes.length
      crc = sum
      tail += events.count
    })
  }

  /** Whether somebody has taken the file away is asked now and then: whoever does that takes what was just written, too. */
  const there = (disk: DiskFile): Effect.Effect<void, DiskFailure | StreamNotFound> => {
    const now = clock.currentTimeMillisUnsafe()
    // The time of day may be set back; asked for with each commit, it costs less than a clock that may not.
    if (now < seenAt + lookEveryMillis && now >= seenAt) return Effect.void
    seenAt = now
    return Effect.flatMap(disk.links, (links) => links === 0 ? new StreamNotFound({ stream: name }) : Effect.void)
  }

  const kept = (disk: DiskFile, bytes: Uint8Array) => {
    trusted = false
    const written = Effect.tapError(disk.write(bytes, size), () =>
      Effect.ignore(Effect.map(disk.truncate(size), () => {
        trusted = true
      })))
    return flusher === undefined ?
      written :
      Effect.flatMap(
        written,
        () =>
          Effect.tapError(
            flusher.flush(disk, { log: journaled, position: size, bytes }),
            () => Effect.andThen(Effect.sync(() => journal.distrust(journaled)), Effect.ignore(mend))
          )
      )
  }

  const log: Log = {
    description,
    hidden: options.hidden,
    tail,
    state,
    touchedAt: options.touchedAt,
    touch,
    commit,
    read: (from, bytesMax) =>
      from < first
        ? inherited(from, bytesMax)
        : Effect.catchTag(
          reader.read(from, bytesMax),
          "DiskFailure",
          (failure) => Effect.fail(toReadError("read", name, failure))
        )
  }
  return { log, fence: () => trusted ? undefined : { size, crc } }
}

const damagedState = (name: StreamName) =>
  new StorageFailed({
    message: `What the log of ${JSON.stringify(name)} says of the stream's state is damaged: nothing can be appended.`
  })
