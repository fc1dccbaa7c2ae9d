/**
 * Settling: until the journal is not needed for a log any more, because everything that it has of the log is flushed in the
 * log's own file. A plain flush does that, unless a flush of the file has failed before: no later flush brings back the
 * pages that the failed one lost (fsync(2)), so the log's records are replayed into the file first.
 */
import { Effect, Semaphore } from "effect"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import { isMissing } from "../disk/disk.ts"
import type { Area, Areas, JournaledLog } from "./areas.ts"
import type { Records } from "./journal-reader.ts"
import { replayRecords } from "./replay-journal.ts"

export interface Settling {
  /** Replays a log before it is opened: records that an earlier process left, or that a failed flush may have lost. */
  readonly replay: (key: string, file: DiskFile) => Effect.Effect<void, DiskFailure>
  /** Replays the log's unsettled commits, and flushes its file, which settles it. */
  readonly replayUnsettled: (log: JournaledLog, file: DiskFile) => Effect.Effect<void, DiskFailure>
  /** Replays everything that the journal has. Afterwards the areas are not needed, unless a log is still unsettled. */
  readonly replayAll: Effect.Effect<void, DiskFailure>
  /** Settles one log. If that fails, the log is a suspect. */
  readonly settle: (key: string) => Effect.Effect<void>
  /** Settles the logs of an area that is not written to any more: their new commits go to the other one. */
  readonly settleArea: (area: Area) => Effect.Effect<void>
  /** A flush of the log's file has failed: no later one counts before the log's records are replayed. */
  readonly suspect: (log: JournaledLog) => void
  /** The log's file was flushed after everything that was written to it. */
  readonly noteFlush: (log: JournaledLog) => void
  /** Whether the areas can be removed. */
  readonly isDone: () => boolean
}

export interface SettlingOptions {
  readonly areas: Areas
  /** Opens a log's file, hidden or not. */
  readonly findLog: (key: string) => Effect.Effect<{ readonly file: DiskFile }, DiskFailure>
  /** The records that an earlier process left in the journal. */
  readonly records: Records
  /** Called when the areas may not be written to any more, since a log depends on their records. */
  readonly fail: () => void
}

/** Files flushed at once: the other threads are left to clients that wait for an answer. */
const aFewAtOnce = { concurrency: 4, discard: true } as const

export const makeSettling = ({ areas, fail, findLog, records }: SettlingOptions): Settling => {
  const one = Semaphore.makeUnsafe(1)
  /** Records of an earlier process, of logs that were not opened since. */
  const left = new Map(records)
  /** Logs of which a flush has failed. */
  const suspects = new Set<string>()

  const forget = (key: string) => {
    suspects.delete(key)
    areas.forget(key)
  }

  const replay: Settling["replay"] = (key, file) =>
    one.withPermits(1)(Effect.suspend(() => {
      const log = suspects.has(key) ? areas.unsettledLog(key) : undefined
      if (log !== undefined) return Effect.flatMap(areas.load, ({ records }) => replayFrom(records, log, file))
      const records = left.get(key)
      if (records === undefined) return Effect.void
      return Effect.map(Effect.andThen(replayRecords(file, records), file.flush), () => void left.delete(key))
    }))

  const replayUnsettled: Settling["replayUnsettled"] = (log, file) =>
    one.withPermits(1)(Effect.gen(function*() {
      if (areas.unsettledLog(log.key) === undefined) return
      yield* replayFrom((yield* areas.load).records, log, file)
    }))

  const replayFrom = (records: Records, log: JournaledLog, file: DiskFile) =>
    Effect.map(
      Effect.andThen(replayRecords(file, records.get(log.key) ?? [], log.size()), file.flush),
      () => forget(log.key)
    )

  /**
   * Through a descriptor of its own: the kernel tells each descriptor once that something could not be written, and an
   * append's flush of the same file must not miss that because this flush was told (fsync(2)).
   */
  const settleLog = (log: JournaledLog, onSettled: () => void) =>
    withLog(
      log.key,
      (file) => Effect.map(suspects.has(log.key) ? replayUnsettled(log, file) : file.flush, onSettled),
      // A log that was removed has no readers.
      onSettled
    ).pipe(Effect.catch((failure) => {
      suspect(log)
      return Effect.logError("A log that the journal vouches for could not be flushed; the journal is kept").pipe(
        Effect.annotateLogs({ path: failure.path, code: failure.code })
      )
    }))

  const suspect = ({ key }: JournaledLog) => {
    if (areas.unsettledLog(key) === undefined) return
    suspects.add(key)
    fail()
  }

  const withLog = (key: string, use: (file: DiskFile) => Effect.Effect<void, DiskFailure>, onMissing: () => void) =>
    Effect.catchIf(
      Effect.acquireUseRelease(findLog(key), ({ file }) => use(file), ({ file }) => file.close),
      isMissing,
      () => Effect.sync(onMissing)
    )

  return {
    replay,
    replayUnsettled,
    replayAll: Effect.gen(function*() {
      const unsettled = areas.unsettled()
      // Read once for all logs: nothing is written to the areas any more.
      const records: Records = unsettled.size === 0 ? new Map() : (yield* areas.load).records
      yield* Effect.forEach(
        unsettled.values(),
        (log) => withLog(log.key, (file) => one.withPermits(1)(replayFrom(records, log, file)), () => forget(log.key)),
        aFewAtOnce
      )
      yield* Effect.forEach(
        [...left.keys()],
        (key) => withLog(key, (file) => replay(key, file), () => left.delete(key)),
        aFewAtOnce
      )
    }),
    settle: (key) =>
      Effect.suspend(() => {
        const log = areas.unsettledLog(key)
        return log === undefined ? Effect.void : settleLog(log, () => forget(key))
      }),
    settleArea: ({ unsettled }) =>
      Effect.forEach([...unsettled], ([key, log]) => settleLog(log, () => unsettled.delete(key)), aFewAtOnce).pipe(
        Effect.catchCause(() => Effect.sync(fail))
      ),
    suspect,
    noteFlush: ({ key }) => suspects.has(key) ? undefined : forget(key),
    isDone: () => left.size === 0 && areas.unsettled().size === 0
  }
}
