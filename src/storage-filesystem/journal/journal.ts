/**
 * The journal: commits of many logs, made durable by one flush instead of one for each (docs/storage-format.md 10).
 *
 * A commit is in its log's file before it comes here; it stays here until that file has been flushed, too. Two areas take
 * turns: while one is written to, the files of the other's logs are flushed. When anything of it fails, logs are flushed
 * each by itself until everything that was here is safe elsewhere. An area that is left behind by a crash is read by the
 * next process, and what its logs' files have lost is put back before anybody reads them.
 */
import { Clock, Effect, Semaphore } from "effect"
import { steadyMillis } from "../../domain/steady-time.ts"
import { offsetDigits } from "../../domain/types.ts"
import type { Disk, DiskFailure, DiskFile } from "../disk/disk.ts"
import { isMissing, removeIfThere } from "../disk/disk.ts"
import type { OpenFile } from "../disk/open-files.ts"
import { CommitMemory } from "../disk/spare-buffers.ts"
import { encodeAreaHeader, encodeRound } from "../format/journal-codec.ts"
import type { Records } from "./journal-reader.ts"
import { areaPaths, readJournal } from "./journal-reader.ts"
import { restoreLog } from "./replay-journal.ts"

/** A log that is open. */
export interface JournaledLog {
  /** The name of its file, without what is added to it while the log is hidden. */
  readonly key: string
  readonly file: OpenFile
  /** Where its last acknowledged commit ends. */
  readonly size: () => number
}

export interface JournaledCommit {
  readonly log: JournaledLog
  readonly position: number
  readonly bytes: Uint8Array
}

export interface Journal {
  /** Whether it has room for these commits now. Where it has not, asking is what makes it have some soon. */
  readonly hasRoom: (commits: ReadonlyArray<JournaledCommit>) => boolean
  /** Makes the commits durable, for which it has said to have room. One call at a time. */
  readonly write: (commits: ReadonlyArray<JournaledCommit>) => Effect.Effect<void, DiskFailure>
  /** The log's file was flushed after all that was written to it; a flush that failed before it still counts. */
  readonly flushed: (log: JournaledLog) => void
  /** Flushes the log's file where only the journal vouches for it: before it is closed, or gets another name. */
  readonly settle: (key: string) => Effect.Effect<void>
  /** A flush of the log's file has failed: until it is rewritten, no other one counts. */
  readonly distrust: (log: JournaledLog) => void
  /** Before a log is opened: puts back into its file what an earlier process had here, or a flush that failed has lost. */
  readonly restore: (key: string, file: DiskFile) => Effect.Effect<void, DiskFailure>
  /** After a flush of a log's file has failed: writes to it again what only the journal vouches for. */
  readonly rewrite: (log: JournaledLog, file: DiskFile) => Effect.Effect<void, DiskFailure>
}

/** So much has to be read at the start after a crash, twice; with records of 300 bytes, a turn has some 50,000 of them. */
const areaBytesMax = 16 * 1024 * 1024

/** So much longer an area's file is made at a time: one flush in some three thousand commits pays for the new length. */
const growthBytes = 1024 * 1024

/** Files flushed at once: as many threads are left to those who wait for an answer. */
const aFewAtOnce = { concurrency: 4, discard: true } as const

/** A disk that failed is given time before the journal is tried again. */
const pauseMillis = 1_000

interface Area {
  readonly path: string
  file: DiskFile | undefined
  used: number
  /** How long the file is: what is written within it is flushed without the file system's own journal. */
  length: number
  crc: number
  /** Logs of which something is only here, in this turn. */
  unsettled: Map<string, JournaledLog>
}

/**
 * `findLog` opens a log's file wherever it is. `bytesMax` is what an area takes: tests make it small.
 */
export const makeJournal = Effect.fnUntraced(function*(
  disk: Disk,
  directory: string,
  findLog: (key: string) => Effect.Effect<{ readonly file: DiskFile }, DiskFailure>,
  bytesMax = areaBytesMax
) {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const one = yield* Semaphore.make(1)
  const areas = areaPaths(directory).map((path): Area => ({
    path,
    file: undefined,
    used: 0,
    length: 0,
    crc: 0,
    unsettled: new Map()
  })) as [Area, Area]
  let active = areas[0]
  let generation = 0
  /** `failed`: what the areas hold is not written to any more, and has to be made safe first. */
  let state: "none" | "busy" | "ready" | "failed" = "none"
  let failedAt = -Infinity
  /** Whether a round is being written. */
  let writing = false
  /** Logs of which a flush has failed: what it lost, no later one brings back, however well it goes. */
  const suspect = new Set<string>()

  const other = () => areas[0] === active ? areas[1] : areas[0]
  const background = (effect: Effect.Effect<void>) => runFork(Effect.forkIn(effect, scope))

  /** Records of both areas by log, as the disk has them. */
  const load = Effect.gen(function*() {
    const { exists, generation: newest, records } = yield* readJournal(disk, directory)
    generation = Math.max(generation, newest)
    return { exists, records }
  })

  const { exists, records } = yield* load
  /** What an earlier process had here, of logs that were not opened since. */
  const left = new Map(records)

  const fail = () => {
    state = "failed"
    failedAt = steadyMillis(clock)
  }

  /** Everything of the log is on the medium. */
  const forget = (key: string) => {
    suspect.delete(key)
    for (const { unsettled } of areas) unsettled.delete(key)
  }

  const restore: Journal["restore"] = (key, file) =>
    one.withPermits(1)(Effect.suspend(() => {
      const log = suspect.has(key) ? unsettledLog(key) : undefined
      if (log !== undefined) return Effect.flatMap(load, ({ records }) => rewriteFrom(records, log, file))
      const records = left.get(key)
      if (records === undefined) return Effect.void
      return Effect.map(Effect.andThen(restoreLog(file, records), file.flush), () => void left.delete(key))
    }))

  const rewrite: Journal["rewrite"] = (log, file) =>
    one.withPermits(1)(Effect.gen(function*() {
      if (unsettledLog(log.key) === undefined) return
      yield* rewriteFrom((yield* load).records, log, file)
    }))

  const rewriteFrom = (records: Records, log: JournaledLog, file: DiskFile) =>
    Effect.map(
      Effect.andThen(restoreLog(file, records.get(log.key) ?? [], log.size()), file.flush),
      () => forget(log.key)
    )

  const settle = (key: string) =>
    Effect.suspend(() => {
      const log = unsettledLog(key)
      return log === undefined ? Effect.void : settling(log, () => forget(key))
    })

  /**
   * With a descriptor of its own: the kernel tells each of them once that something could not be written, and this flush
   * must not be told what an append's flush of the same file has to know (fsync(2)).
   */
  const settling = (log: JournaledLog, settled: () => void) =>
    Effect.matchEffect(
      found(
        log.key,
        (file) => Effect.map(suspect.has(log.key) ? rewrite(log, file) : file.flush, settled),
        // Taken away: nobody asks for it any more.
        settled
      ),
      { onSuccess: () => Effect.void, onFailure: (failure) => giveUp(log, failure) }
    )

  const unsettledLog = (key: string) => areas[0].unsettled.get(key) ?? areas[1].unsettled.get(key)

  /** What it has of a log is read from it from now on, so nothing is written to it any more. */
  const distrust = ({ key }: JournaledLog) => {
    if (unsettledLog(key) === undefined) return
    suspect.add(key)
    fail()
  }

  const giveUp = (log: JournaledLog, failure: DiskFailure) =>
    Effect.suspend(() => {
      distrust(log)
      return Effect.logError("A log that the journal vouches for could not be flushed; the journal is kept").pipe(
        Effect.annotateLogs({ path: failure.path, code: failure.code })
      )
    })

  /** Makes safe what the areas hold, and begins without any. */
  const renew = Effect.gen(function*() {
    const unsettled = new Map(areas.flatMap(({ unsettled }) => [...unsettled]))
    // Read once for all of them: nothing is written to the areas any more.
    const records: Records = unsettled.size === 0 ? new Map() : (yield* load).records
    yield* Effect.forEach(
      unsettled.values(),
      (log) => found(log.key, (file) => one.withPermits(1)(rewriteFrom(records, log, file)), () => forget(log.key)),
      aFewAtOnce
    )
    yield* Effect.forEach(
      [...left.keys()],
      (key) => found(key, (file) => restore(key, file), () => left.delete(key)),
      aFewAtOnce
    )
    // One that failed to be flushed meanwhile needs them still.
    if (areas.some(({ unsettled }) => unsettled.size > 0)) return fail()
    yield* closeAreas
    yield* removeAreas
    state = "none"
  })

  const found = (key: string, use: (file: DiskFile) => Effect.Effect<void, DiskFailure>, isGone: () => void) =>
    Effect.catchIf(
      Effect.acquireUseRelease(findLog(key), ({ file }) => use(file), ({ file }) => file.close),
      isMissing,
      () => Effect.sync(isGone)
    )

  const closeAreas = Effect.suspend(() =>
    Effect.forEach(areas, (area) => {
      const { file } = area
      area.file = undefined
      area.used = 0
      area.length = 0
      return file === undefined ? Effect.void : file.close
    }, { discard: true })
  )

  const removeAreas = Effect.andThen(
    Effect.forEach(areas, ({ path }) => removeIfThere(disk, path), { discard: true }),
    disk.flushDirectory(directory)
  )

  const prepare = Effect.gen(function*() {
    for (const area of areas) area.file = yield* disk.create(area.path)
    yield* disk.flushDirectory(directory)
    active = areas[0]
    generation++
    state = "ready"
  })

  /** Flushes the logs of an area that is not written to any more: what they are given meanwhile is in the other one. */
  const settleArea = ({ unsettled }: Area) =>
    Effect.forEach([...unsettled], ([key, log]) => settling(log, () => unsettled.delete(key)), aFewAtOnce).pipe(
      Effect.catchCause(() => Effect.sync(fail))
    )

  const start = (effect: Effect.Effect<void, DiskFailure>) => {
    state = "busy"
    background(Effect.catchCause(effect, () => Effect.sync(fail)))
  }

  const hasRoom: Journal["hasRoom"] = (commits) => {
    if (state === "none") start(prepare)
    if (state === "failed" && !writing && steadyMillis(clock) - failedAt >= pauseMillis) start(renew)
    if (state !== "ready") return false
    let bytes = headerBytes
    for (const { bytes: commit, log } of commits) bytes += commit.length + log.key.length + recordBytesMax
    if (active.used + bytes <= bytesMax) return true
    if (other().unsettled.size > 0 || bytes > bytesMax) return false
    background(settleArea(active))
    active = other()
    active.used = 0
    // The flushes of its last turn may be under way still: what they settle is of that turn.
    active.unsettled = new Map()
    generation++
    return true
  }

  const write: Journal["write"] = (commits) =>
    Effect.suspend(() => {
      const area = active
      const header = area.used === 0 ? encodeAreaHeader(generation) : undefined
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
      const flushed = Effect.andThen(file.write(padded, area.used), file.flush)
      writing = true
      return Effect.tapError(
        Effect.map(flushed, () => {
          memory.release()
          area.used = end
          area.length = length
          area.crc = round.crc
          for (const { log } of commits) area.unsettled.set(log.key, log)
        }),
        // Whether its commits are kept is up to their own files now: they are not to come back from here.
        () => Effect.andThen(Effect.sync(fail), Effect.ignore(file.truncate(area.used)))
      ).pipe(Effect.ensuring(Effect.sync(() => writing = false)))
    })

  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      const isSafe = left.size === 0 && state !== "failed" && areas.every(({ unsettled }) => unsettled.size === 0)
      const isUsed = areas.some(({ file }) => file !== undefined)
      yield* closeAreas
      if (isSafe && isUsed) yield* removeAreas
    }).pipe(Effect.ignore)
  )
  if (exists) start(renew)

  return {
    hasRoom,
    write,
    flushed: ({ key }) => suspect.has(key) ? undefined : forget(key),
    settle,
    distrust,
    restore,
    rewrite
  } satisfies Journal as Journal
})

/** The lines of an area and of a round. */
const headerBytes = encodeAreaHeader(0).bytes.length + encodeRound([], 0).bytes.length
/** What a record has besides its commit and its log's name: two numbers, of 16 digits at the most. */
const recordBytesMax = `{"log":"","position":,"bytes":}\n`.length + 2 * offsetDigits
