/**
 * The logs of a data directory, checked from the first byte to the last, without a server and without one being started.
 * If a server uses the directory, they are read all the same, and an end that it is writing is no fault.
 */
import { Data, Effect, Runtime } from "effect"
import * as fs from "node:fs"
import { readDigits } from "../../data-directory/data-directory.ts"
import { lockState, tryLock } from "../../data-directory/lock.ts"
import { DaemonFailed, DataDirectoryInUse, filesOf } from "../../data-directory/paths.ts"
import { exitCodes } from "../../domain/exit-codes.ts"
import { nodeDisk, nodeDiskToRead } from "../../storage-filesystem/disk/disk.ts"
import { glanceAtLogs } from "../../storage-filesystem/verify/quick-check.ts"
import type { LogFault, Verified } from "../../storage-filesystem/verify/verify-logs.ts"
import { verifyLogs } from "../../storage-filesystem/verify/verify-logs.ts"
import type { Finding } from "./finding.ts"

export type { LogFault, Verified }

export interface VerifyDataOptions {
  /** Absolute path. */
  readonly dataDirectory: string
  /** Cuts torn ends, under the directory's lock. */
  readonly repair: boolean
  /** Called for each log with a fault. */
  readonly onFault: (fault: LogFault) => Effect.Effect<void>
  /** Called first, if a server uses the directory or may use it. */
  readonly onInUse: (state: "held" | "unknown") => Effect.Effect<void>
}

/** There is nothing to check. */
class NoDataDirectory extends Data.TaggedError("NoDataDirectory")<{ readonly dataDirectory: string }> {
  override readonly [Runtime.errorExitCode] = exitCodes.notFound

  override get message() {
    return `There is no data directory ${this.dataDirectory}. Name another with --data-dir; the first append makes one.`
  }
}

export const verifyData = Effect.fnUntraced(function*(options: VerifyDataOptions) {
  const { dataDirectory, onFault, onInUse, repair } = options
  const { lock, pid, port, streams } = filesOf(dataDirectory)
  if (!fs.existsSync(dataDirectory)) return yield* new NoDataDirectory({ dataDirectory })
  if (repair && !(yield* tryLock(lock))) {
    return yield* new DataDirectoryInUse({ dataDirectory, pid: readDigits(pid), port: readDigits(port) })
  }
  const state = repair ? "free" : yield* lockState(lock)
  if (state !== "free") yield* onInUse(state)
  return yield* verifyLogs({
    disk: repair ? nodeDisk : nodeDiskToRead,
    directory: streams,
    inUse: repair ? Effect.succeed(false) : Effect.map(lockState(lock), (state) => state !== "free"),
    repair,
    onFault
  }).pipe(
    Effect.mapError(({ call, code, path }) =>
      new DaemonFailed({
        message:
          `Could not look at ${path}: ${call} failed with ${code}. Is it the data directory, and this user's own?`
      })
    )
  )
}, Effect.scoped)

/** Looking at two ends of a log takes a fraction of a millisecond. */
const glancesMax = 1_000

/** A quick look for `doctor`: at the two ends of each log, and not at all of too many. */
export const checkLogs = (dataDirectory: string): Effect.Effect<Finding> =>
  glanceAtLogs(nodeDiskToRead, filesOf(dataDirectory).streams, glancesMax).pipe(
    Effect.map(({ hurt, logs, looked, unreadable }): Finding => {
      const counted = `${looked} ${looked === 1 ? "log" : "logs"}${looked < logs ? ` of ${logs}` : ""}`
      if (logs === 0) return { status: "ok", says: "There is none yet." }
      if (hurt.length === 0 && unreadable.length > 0) {
        const says = `${unreadable.length} of ${counted} cannot be read, such as ${unreadable[0]}.`
        return { status: "fail", says, advice: "See why: durable-streams verify." }
      }
      if (hurt.length === 0) return { status: "ok", says: `The ends of ${counted} are sound.` }
      const which = hurt.length === 1 ? `is damaged: ${hurt[0]}` : `are damaged, such as ${hurt[0]}`
      const advice = "See what is left: durable-streams verify; then bring the file back from a copy."
      return { status: "fail", says: `${hurt.length} of ${counted} ${which}.`, advice }
    }),
    Effect.catch(({ call, code, path }) =>
      Effect.succeed<Finding>({
        status: "fail",
        says: `${path} cannot be looked at: ${call} failed with ${code}.`,
        advice: "Is it the data directory, and this user's own?"
      })
    )
  )
