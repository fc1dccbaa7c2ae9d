/**
 * The journal: commits of many logs, made durable by one flush instead of one for each (docs/storage-format.md 10).
 *
 * A commit is in its log's file before it comes here; it stays here until that file has been flushed, too (settling.ts).
 * Two areas take turns: while one is written to, the other one's logs are settled. If anything fails, each log is flushed
 * by itself until the journal is not needed for any of them. After a crash the next process reads the areas, and replays
 * them into the logs' files before it serves those logs.
 */
import { Clock, Effect, type Scope } from "effect"
import { steadyMillis } from "../../domain/steady-time.ts"
import type { Disk, DiskFailure } from "../disk/disk.ts"
import { makeAreas } from "./areas.ts"
import type { JournaledCommit, Rounds } from "./rounds.ts"
import { makeRounds } from "./rounds.ts"
import type { Settling, SettlingOptions } from "./settling.ts"
import { makeSettling } from "./settling.ts"

export interface Journal
  extends Pick<Rounds, "write">, Pick<Settling, "replay" | "replayUnsettled" | "settle" | "suspect" | "noteFlush">
{
  /** Whether it has room for these commits now. If it has none, asking makes it get some soon. */
  readonly hasRoom: (commits: ReadonlyArray<JournaledCommit>) => boolean
}

/** A start after a crash reads this much twice; with records of 300 bytes, a turn has some 50,000 of them. */
const areaBytesMax = 16 * 1024 * 1024

/** How long a disk that failed is left alone before the journal tries it again. */
const pauseMillis = 1_000

/** `findLog` opens a log's file, hidden or not. `bytesMax` is the size of an area: tests make it small. */
export const makeJournal = Effect.fnUntraced(function*(
  disk: Disk,
  directory: string,
  findLog: SettlingOptions["findLog"],
  bytesMax = areaBytesMax
): Effect.fn.Return<Journal, DiskFailure, Scope.Scope> {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  /** `failed`: the areas are not written to any more, and everything in them must be replayed first. */
  let state: "none" | "busy" | "ready" | "failed" = "none"
  let failedAt = -Infinity

  const fail = () => {
    state = "failed"
    failedAt = steadyMillis(clock)
  }

  const areas = makeAreas(disk, directory)
  const { exists, records } = yield* areas.load
  const settling = makeSettling({ areas, findLog, records, fail })
  const rounds = makeRounds(areas, bytesMax, fail)

  const background = (effect: Effect.Effect<void>) => runFork(Effect.forkIn(effect, scope))

  const start = (effect: Effect.Effect<void, DiskFailure>) => {
    state = "busy"
    background(Effect.catchCause(effect, () => Effect.sync(fail)))
  }

  const create = Effect.map(areas.create, () => void (state = "ready"))

  /** Replays everything, and begins without areas. */
  const renew = Effect.gen(function*() {
    yield* settling.replayAll
    // A log whose flush has failed meanwhile still needs them.
    if (areas.unsettled().size > 0) return fail()
    yield* areas.close
    yield* areas.remove
    state = "none"
  })

  const hasRoom: Journal["hasRoom"] = (commits) => {
    if (state === "none") start(create)
    if (state === "failed" && !rounds.isWriting() && steadyMillis(clock) - failedAt >= pauseMillis) start(renew)
    if (state !== "ready") return false
    const bytes = rounds.bytesOf(commits)
    if (areas.active().used + bytes <= bytesMax) return true
    const before = bytes > bytesMax ? undefined : areas.turn()
    if (before === undefined) return false
    background(settling.settleArea(before))
    return true
  }

  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      const isSafe = settling.isDone() && state !== "failed"
      const isUsed = areas.isOpen()
      yield* areas.close
      if (isSafe && isUsed) yield* areas.remove
    }).pipe(Effect.ignore)
  )
  if (exists) start(renew)

  const { noteFlush, replay, replayUnsettled, settle, suspect } = settling
  return { hasRoom, write: rounds.write, noteFlush, settle, suspect, replay, replayUnsettled }
})
