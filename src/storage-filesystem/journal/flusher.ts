/**
 * Makes commits that were written to their logs durable: a few logs by flushing each, many at once by one flush of the
 * journal. A flush begins after the bytes that it counts for were written, and the commits that come while the journal is
 * flushed share its next flush.
 */
import { Clock, Effect, Exit } from "effect"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import type { Journal } from "./journal.ts"
import { makeFlushTimer } from "./metrics.ts"
import type { JournaledCommit } from "./rounds.ts"

export interface Flusher {
  /** `file` is the log's, and the commit has been written to it. */
  readonly flush: (file: DiskFile, commit: JournaledCommit) => Effect.Effect<void, DiskFailure>
}

/** Two flushes side by side cost no more than one of the journal, which later needs flushes of the logs. */
const flushesAtOnceMax = 2

/** A larger commit costs more to write twice than to flush. */
const journaledBytesMax = 64 * 1024

export const makeFlusher = (journal: Journal): Effect.Effect<Flusher> =>
  Effect.gen(function*() {
    const services = yield* Effect.context<never>()
    const clock = yield* Clock.Clock
    const runFork = Effect.runForkWith(services)
    const beginLogFlush = makeFlushTimer("log", clock, services)
    const beginJournalFlush = makeFlushTimer("journal", clock, services)
    let waiting: Array<Waiting> = []
    let flushing = 0
    let journaling = false
    let gathering = false

    /** Gathers all commits of this turn of the event loop. */
    const gatherSoon = () => {
      if (gathering || journaling) return
      gathering = true
      queueMicrotask(gather)
    }

    const gather = () => {
      gathering = false
      const taken = waiting
      waiting = []
      if (flushing + taken.length <= flushesAtOnceMax || !journal.hasRoom(taken)) taken.forEach(flushAlone)
      else flushTogether(taken)
    }

    const flushAlone = ({ done, file, log }: Waiting) => {
      flushing++
      const end = beginLogFlush(1)
      runFork(file.flush).addObserver((exit) => {
        flushing--
        end()
        if (Exit.isSuccess(exit)) journal.noteFlush(log)
        done(exit)
      })
    }

    const flushTogether = (taken: ReadonlyArray<Waiting>) => {
      journaling = true
      const end = beginJournalFlush(taken.length)
      runFork(journal.write(taken)).addObserver((exit) => {
        journaling = false
        end()
        if (Exit.isSuccess(exit)) { for (const { done } of taken) done(exit) }
        // The commits are in their own files anyway.
        else taken.forEach(flushAlone)
        if (waiting.length > 0) gatherSoon()
      })
    }

    return {
      flush: (file, commit) =>
        Effect.uninterruptible(Effect.callback((resume) => {
          const entry = { ...commit, file, done: resume }
          if (commit.bytes.length > journaledBytesMax) return flushAlone(entry)
          waiting.push(entry)
          gatherSoon()
        }))
    }
  })

interface Waiting extends JournaledCommit {
  readonly file: DiskFile
  readonly done: (exit: Exit.Exit<void, DiskFailure>) => void
}
