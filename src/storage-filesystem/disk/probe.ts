/**
 * Finds out for `/health` whether the disk takes writes: it creates, writes and removes a small file beside the logs. So
 * `/health` reports trouble, and the end of trouble, while no client appends. A look costs little, and no answer waits for it
 * long, however often a client asks and however slow the disk is.
 */
import { type Clock, Effect } from "effect"
import * as Path from "node:path"
import { steadyMillis } from "../../domain/steady-time.ts"
import { probeName } from "../format/file-names.ts"
import type { Disk } from "./disk.ts"
import { DiskFailure } from "./disk.ts"

export interface Probe {
  /** An append failed: the next answer waits for a new look, which also flushes. */
  readonly suspect: () => void
  /** Why nothing can be stored now; undefined if it can. */
  readonly look: Effect.Effect<DiskFailure | undefined>
}

/** Several events of an ordinary size: on a disk that has less room, most appends fail. */
const bytes = Buffer.alloc(16 * 1024, "-")

/** How long a look counts: clients that ask in a loop must not keep the disk busy. */
const freshMillis = 1_000

/** How long an answer waits for a busy disk: without a suspicion, the earlier look is good enough. */
const waitMillis = 50
const waitSuspectMillis = 500

/** A disk that takes longer to create a small file counts as one that takes no writes. */
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

    const tryWriting = (flushes: boolean) =>
      Effect.acquireUseRelease(
        disk.create(path),
        (file) => Effect.andThen(file.write(bytes, 0), flushes ? file.flush : Effect.void),
        (file) => Effect.andThen(file.close, Effect.ignore(disk.remove(path)))
      )

    const begin = () => {
      begunAt = steadyMillis(clock)
      const flushes = durable && isDoubted()
      suspected = false
      runFork(Effect.match(tryWriting(flushes), { onSuccess: () => undefined, onFailure: (found) => found }))
        .addObserver(
          (exit) => {
            failure = exit._tag === "Success" ? exit.value : failure
            seenAt = steadyMillis(clock)
            begunAt = undefined
            for (const tell of waiting) tell()
            waiting.clear()
          }
        )
    }

    const awaitEnd = Effect.callback<void>((resume) => {
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
        return Effect.map(Effect.timeoutOption(awaitEnd, wait), verdict)
      })
    }
  })
