/**
 * Checks all logs of a directory (verify-log.ts) as the next start would find them, after a replay of the journal. It changes
 * nothing, except that it cuts the torn ends that a start would cut, if the caller asks for that.
 */
import { Effect } from "effect"
import * as Path from "node:path"
import type { StreamName } from "../../domain/types.ts"
import { toOffset } from "../../domain/types.ts"
import type { ForkOrigin } from "../../storage/storage.ts"
import type { Disk, DiskFailure, DiskFile } from "../disk/disk.ts"
import { isMissing, noRegularFile } from "../disk/disk.ts"
import { fromFileName, hiddenSuffix, toFileName } from "../format/file-names.ts"
import type { Records } from "../journal/journal-reader.ts"
import { readJournal } from "../journal/journal-reader.ts"
import { replayRecords } from "../journal/replay-journal.ts"
import { findTail } from "../log/find-tail.ts"
import { readHeader } from "../log/log-header.ts"
import type { PatchedFile } from "./patched-file.ts"
import { patchedFile } from "./patched-file.ts"
import { type Repaired, repairLog } from "./repair-log.ts"
import { type LogFindings, verifyLog } from "./verify-log.ts"

export interface VerifyOptions {
  readonly disk: Disk
  /** The directory of the logs; the journal is beside it. */
  readonly directory: string
  /** Whether a server may be writing now. Asked again before a fault is reported. */
  readonly inUse: Effect.Effect<boolean>
  /** Whether torn ends are cut. The caller holds the directory's lock then. */
  readonly repair: boolean
  /** Called for each log with a fault, once, in the order of the files' names. */
  readonly onFault: (fault: LogFault) => Effect.Effect<void>
}

/** A fault of a log. */
export interface LogFault {
  /** Undefined if only the log itself could tell, and does not. */
  readonly stream: StreamName | undefined
  readonly file: string
  /**
   * `damaged`: readers get the events before the damage, and an error for the rest. `torn`: a start cuts the end. `never
   * made`: the file has no whole line. `misled`: all events are served, and an append can be there twice, or be missing.
   * `orphaned`: the events that a fork inherits are gone. `unreadable`: the system refuses to read the file.
   */
  readonly kind: "damaged" | "torn" | "never made" | "misled" | "orphaned" | "unreadable"
  /** Where in the file the fault begins. */
  readonly position: number
  /** The first offset that is not sound. */
  readonly offset: number
  readonly problem: string
  /** Bytes at the end that a start would cut, or that were cut. */
  readonly torn: number
  /** Undefined if no repair was tried. */
  readonly repaired: Repaired | undefined
}

export interface Verified {
  readonly logs: number
  readonly events: number
  readonly bytes: number
  readonly faults: number
  /** Logs whose fault was repaired. */
  readonly repaired: number
  /** Logs whose files lack commits that the journal has: the next start replays them. */
  readonly restorable: number
  /** Logs to which a server was writing. */
  readonly growing: number
}

/** By then a write under way is over, and so is the replay of a journal. */
const checkAgainMillis = 200

export const verifyLogs = Effect.fnUntraced(function*(
  options: VerifyOptions
): Effect.fn.Return<Verified, DiskFailure> {
  const { directory, disk, inUse, onFault, repair } = options
  const total = { logs: 0, events: 0, bytes: 0, faults: 0, repaired: 0, restorable: 0, growing: 0 }
  const forks: Array<Fork> = []
  const journal = Effect.map(readJournal(disk, Path.dirname(directory)), ({ records }) => records)
  let records = yield* journal

  const tell = (fault: LogFault) => {
    total.faults++
    if (fault.kind === "torn" && fault.repaired !== undefined && fault.repaired.failed === undefined) total.repaired++
    return onFault(fault)
  }

  const verifyOne = Effect.fnUntraced(function*(entry: Entry) {
    let checked = yield* checkLog(disk, directory, entry, records)
    let growing = false
    if (!isSound(checked) && (yield* inUse)) {
      yield* Effect.sleep(checkAgainMillis)
      records = yield* journal
      checked = yield* checkLog(disk, directory, entry, records)
      growing = checked.damage === undefined && checked.misled === undefined && checked.end !== "whole"
    }
    total.logs++
    total.events += checked.events
    total.bytes += checked.bytes
    if (checked.isReplayable) total.restorable++
    if (growing) total.growing++
    const { description } = checked
    if (checked.damage === undefined && description?.forkedFrom !== undefined) {
      forks.push({ entry, name: description.name, origin: description.forkedFrom })
    }
    if (isSound(checked) || growing) return
    // A torn end is also cut if damage lies before it: the damage stays.
    const repaired = repair && checked.end === "torn"
      ? yield* repairLog(disk, directory, entry.file, records.get(entry.key) ?? [], checked.wholeTo)
      : undefined
    yield* tell(toFault(entry, checked, repaired))
  })

  for (const entry of yield* entriesOf(disk, directory)) {
    yield* Effect.catchIf(
      verifyOne(entry),
      // Unless the log was deleted since it was listed.
      (failure) => !isMissing(failure),
      (failure) => Effect.andThen(Effect.sync(() => total.logs++), tell(unreadable(entry, failure)))
    ).pipe(Effect.ignore)
  }
  for (const fork of forks) {
    const problem = yield* findOriginFault(disk, directory, fork.origin, records)
    // A fork that was deleted meanwhile needs no source.
    if (problem !== undefined && (yield* isThere(disk, directory, fork.entry))) {
      yield* tell({ ...blank(fork.entry), stream: fork.name, kind: "orphaned", offset: 0, problem })
    }
  }
  return total
})

interface Fork {
  readonly entry: Entry
  readonly name: StreamName
  readonly origin: ForkOrigin
}

export interface Entry {
  readonly file: string
  /** The file's name while it is not hidden: the journal's name for it. */
  readonly key: string
}

/** The files of the directory that are logs, hidden or not. */
export const entriesOf = (disk: Disk, directory: string): Effect.Effect<ReadonlyArray<Entry>, DiskFailure> =>
  Effect.map(
    Effect.catchIf(disk.list(directory), isMissing, () => Effect.succeed([])),
    (files) =>
      files.toSorted()
        .map((file) => ({ file, key: file.endsWith(hiddenSuffix) ? file.slice(0, -hiddenSuffix.length) : file }))
        .filter(({ key }) => fromFileName(key) !== undefined)
  )

interface CheckedLog extends LogFindings {
  readonly isReplayable: boolean
}

const checkLog = (disk: Disk, directory: string, entry: Entry, records: Records) =>
  withReplayed(
    disk,
    directory,
    entry,
    records,
    (file): Effect.Effect<CheckedLog, DiskFailure> =>
      Effect.map(verifyLog(file, entry.key), (findings) => ({ ...findings, isReplayable: file.isChanged() }))
  )

/** Uses a log's file as it will be after the next start has replayed the journal. */
export const withReplayed = <A>(
  disk: Disk,
  directory: string,
  { file, key }: Entry,
  records: Records,
  use: (file: PatchedFile) => Effect.Effect<A, DiskFailure>
) =>
  withFile(disk, Path.join(directory, file), (opened) => {
    const patched = patchedFile(opened)
    return Effect.andThen(replayRecords(patched, records.get(key) ?? []), use(patched))
  })

const withFile = <A>(disk: Disk, path: string, use: (file: DiskFile) => Effect.Effect<A, DiskFailure>) =>
  Effect.acquireUseRelease(disk.open(path), use, (file) => file.close)

const isSound = ({ damage, end, misled }: LogFindings) =>
  damage === undefined && misled === undefined && end === "whole"

/** Why a fork's inherited events cannot be read; undefined if they can, as far as the two ends of its source tell. */
const findOriginFault = Effect.fnUntraced(
  function*(disk: Disk, directory: string, origin: ForkOrigin, records: Records) {
    const key = toFileName(origin.stream)
    const source = `the log of its source ${JSON.stringify(origin.stream)}`
    const judge = (file: DiskFile) =>
      Effect.gen(function*() {
        const header = yield* readHeader(file)
        // A damaged source is a fault of its own.
        if (header?.sound !== true) return undefined
        if (header.description.id !== origin.id) return `${source} is gone, and another one has its name`
        const logEnd = yield* findTail(file, header.description.forkedFrom?.offset ?? 0)
        if (typeof logEnd === "string" || logEnd.tail >= origin.offset + Math.sign(origin.bytes)) return undefined
        return `${source} ends at offset ${toOffset(logEnd.tail)}, before the fork begins`
      })
    const judged = (file: string) => withReplayed(disk, directory, { file, key }, records, judge)
    return yield* judged(key).pipe(
      Effect.catchIf(isMissing, () => judged(key + hiddenSuffix)),
      Effect.catch((failure) =>
        Effect.succeed(isMissing(failure) ? `${source} is not there` : `${source} cannot be read (${failure.code})`)
      )
    )
  }
)

const isThere = (disk: Disk, directory: string, { file }: Entry) =>
  Effect.orElseSucceed(Effect.as(withFile(disk, Path.join(directory, file), () => Effect.void), true), () => false)

const blank = ({ file, key }: Entry) => {
  const name = fromFileName(key)
  return {
    stream: name === "hashed" ? undefined : name,
    file,
    position: 0,
    offset: 0,
    torn: 0,
    repaired: undefined
  } satisfies Partial<LogFault>
}

const toFault = (entry: Entry, findings: LogFindings, repaired: Repaired | undefined): LogFault => {
  const { damage, description, end, misled, sound, torn, wholeTo } = findings
  const known = description !== undefined && toFileName(description.name) === entry.key ? description.name : undefined
  const base = {
    ...blank(entry),
    ...(known === undefined ? {} : { stream: known }),
    offset: sound.offset,
    torn,
    repaired
  }
  const ending = torn === 0 ? "" : `; its last ${torn} bytes are a torn write`
  if (damage !== undefined) {
    const more = damage.places === 1 ? "" : `; ${damage.places} places are hurt`
    return { ...base, kind: "damaged", position: damage.position, problem: damage.problem + more + ending }
  }
  if (misled !== undefined) {
    const { offset, position, problem } = misled
    const outcome = "an append can be there twice from there on, or be missing"
    return { ...base, kind: "misled", offset, position, problem: `${problem}: ${outcome}${ending}` }
  }
  return end === "torn"
    ? {
      ...base,
      kind: "torn",
      position: wholeTo,
      problem: `the last ${torn} bytes are a commit that was never finished`
    }
    : { ...base, kind: "never made", problem: "it has no whole line: its stream was never made" }
}

const unreadable = (entry: Entry, { call, code }: DiskFailure): LogFault => ({
  ...blank(entry),
  kind: "unreadable",
  problem: code === noRegularFile ? "it is no regular file" : `${call} failed with ${code}`
})
