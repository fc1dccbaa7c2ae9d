/**
 * Makes what was written to logs durable: a few logs by flushing each, many at once by one flush of the journal. A flush
 * begins after the bytes it counts for were written, and whoever comes while the journal is flushed shares its next one.
 */
import { Effect, Exit } from "effect"
import type { DiskFailure, DiskFile } from "../disk/disk.ts"
import type { Journal } from "./journal.ts"
import type { JournaledCommit } from "./rounds.ts"

export interface Flusher {
  /** `file` is the log's, and the commit has been written to it. */
  readonly flush: (file: DiskFile, commit: JournaledCommit) => Effect.Effect<void, DiskFailure>
}

/** Two flushes side by side cost as little as the journal's, which brings others after it. */
const flushesAtOnceMax = 2

/** A larger commit costs more to write twice than to flush. */
const journaledBytesMax = 64 * 1024

export const makeFlusher = (journal: Journal): Effect.Effect<Flusher> =>
  Effect.map(Effect.context<never>(), (services) => {
    const runFork = Effect.runForkWith(services)
    let waiting: Array<Waiting> = []
    let flushing = 0
    let journaling = false
    let gathering = false

    /** Everybody who comes in this turn of the event loop is gathered. */
    const gatherSoon = () => {
      if (gathering || journaling) return
      gathering = true
      queueMicrotask(gather)
    }

    const gather = () => {
      gathering = false
      const taken = waiting
      waiting = []
      if (flushing + taken.length <= flushesAtOnceMax || !journal.hasRoom(taken)) taken.forEach(alone)
      else together(taken)
    }

    const alone = ({ done, file, log }: Waiting) => {
      flushing++
      runFork(file.flush).addObserver((exit) => {
        flushing--
        if (Exit.isSuccess(exit)) journal.noteFlush(log)
        done(exit)
      })
    }

    const together = (taken: ReadonlyArray<Waiting>) => {
      journaling = true
      runFork(journal.write(taken)).addObserver((exit) => {
        journaling = false
        if (Exit.isSuccess(exit)) { for (const { done } of taken) done(exit) }
        // The commits are in their files all the same.
        else taken.forEach(alone)
        if (waiting.length > 0) gatherSoon()
      })
    }

    return {
      flush: (file, commit) =>
        Effect.uninterruptible(Effect.callback((resume) => {
          const entry = { ...commit, file, done: resume }
          if (commit.bytes.length > journaledBytesMax) return alone(entry)
          waiting.push(entry)
          gatherSoon()
        }))
    }
  })

interface Waiting extends JournaledCommit {
  readonly file: DiskFile
  readonly done: (exit: Exit.Exit<void, DiskFailure>) => void
}
