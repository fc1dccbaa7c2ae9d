/**
 * Whether the disk takes anything, for `/health`: a small file beside the logs is made, written and removed again. So
 * trouble is told though no client appends, and so is its end. A look costs little and is never waited for long, however
 * often a client asks, and whatever the disk does.
 */
import { type Clock, Effect } from "effect"
import * as Path from "node:path"
import { steadyMillis } from "../../domain/steady-time.ts"
import { probeName } from "../format/file-names.ts"
import type { Disk } from "./disk.ts"
import { DiskFailure } from "./disk.ts"

export interface Probe {
  /** An append failed: the disk is looked at anew before the next answer, and the look flushes as well. */
  readonly suspect: () => void
  /** Why nothing can be stored; undefined where it can. */
  readonly look: Effect.Effect<DiskFailure | undefined>
}

/** Several events of an ordinary size: on a disk that has less room, most appends fail. */
const bytes = Buffer.alloc(16 * 1024, "-")

/** A look counts for so long: clients that ask in a loop are not to keep the disk busy. */
const freshMillis = 1_000

/** How long an answer waits for a busy disk: without a suspicion, the look before will do. */
const waitMillis = 50
const waitSuspectMillis = 500

/** A disk that takes longer to make a small file takes nothing any more. */
const hungMillis = 10_000

export const makeProbe = (disk: Disk, directory: string, durable: boolean, clock: Clock.Clock): Effect.Effect<Probe> =>
  Effect.map(Effect.context<never>(), (services) => {
    const path = Path.join(directory, probeName)
    const runFork = Effect.runForkWith(services)
    const hung = new DiskFailure({ code: "ETIMEDOUT", call: "write", path, cause: undefined })
    let failure: DiskFailure | undefined
    let seenAt = -Infinity
    let suspected = false
    let begunAt: number | undefined
    const waiting = new Set<() => void>()

    const isDoubted = () => suspected || failure !== undefined

    const tried = (flushes: boolean) =>
      Effect.acquireUseRelease(
        disk.create(path),
        (file) => Effect.andThen(file.write(bytes, 0), flushes ? file.flush : Effect.void),
        (file) => Effect.andThen(file.close, Effect.ignore(disk.remove(path)))
      )

    const begin = () => {
      begunAt = steadyMillis(clock)
      const flushes = durable && isDoubted()
      suspected = false
      runFork(Effect.match(tried(flushes), { onSuccess: () => undefined, onFailure: (found) => found })).addObserver(
        (exit) => {
          failure = exit._tag === "Success" ? exit.value : failure
          seenAt = steadyMillis(clock)
          begunAt = undefined
          for (const tell of waiting) tell()
          waiting.clear()
        }
      )
    }

    const ended = Effect.callback<void>((resume) => {
      if (begunAt === undefined) return resume(Effect.void)
      const tell = () => resume(Effect.void)
      waiting.add(tell)
      return Effect.sync(() => void waiting.delete(tell))
    })

    const verdict = () => begunAt !== undefined && steadyMillis(clock) - begunAt > hungMillis ? hung : failure

    return {
      suspect: () => void (suspected = true),
      look: Effect.suspend(() => {
        const wait = isDoubted() ? waitSuspectMillis : waitMillis
        if (begunAt === undefined && (suspected || steadyMillis(clock) - seenAt >= freshMillis)) begin()
        return Effect.map(Effect.timeoutOption(ended, wait), verdict)
      })
    }
  })
