/**
 * Stops the server of a data directory, and waits until the directory is free for the next one.
 */
import { Effect } from "effect"
import { readDigits } from "../../data-directory/data-directory.ts"
import { holderOf, lockState, tryLock } from "../../data-directory/lock.ts"
import { DaemonFailed, filesOf, ServerSilent } from "../../data-directory/paths.ts"
import { findProven, holdsLock } from "./find-server.ts"
import { pollEvery } from "./poll.ts"
import { identityOf } from "./process-identity.ts"

/** A stop ends within two seconds by design; the rest is for a slow disk. */
const stopTimeout = "10 seconds"

/**
 * Returns the server that was stopped, undefined when there was none. Fails when a server holds the lock and does not
 * answer, runs elsewhere, or does not end. The signal goes only to the process that has just proven itself: its number in
 * the files may be another's by now, and in a container it is.
 */
export const stop = Effect.fnUntraced(function*(dataDirectory: string) {
  const found = yield* findProven(dataDirectory)
  if (found === undefined) {
    const { lock } = filesOf(dataDirectory)
    if ((yield* lockState(lock)) !== "held") return undefined
    return yield* new ServerSilent({ dataDirectory, pid: holderOf(lock) })
  }
  const { pid, process: identity } = found.health
  const isHere = identity === undefined ? yield* holdsLock(dataDirectory, pid) : identity === identityOf(pid)
  if (!isHere) {
    return yield* new DaemonFailed({
      message: `The server runs elsewhere, such as in a container, where it is pid ${pid}: stop it there.`
    })
  }
  yield* Effect.try({
    try: () => process.kill(pid, "SIGTERM"),
    catch: (cause) =>
      new DaemonFailed({ message: `Could not stop the server (pid ${pid}): ${(cause as Error).message}.` })
  })
  yield* Effect.sleep(pollEvery).pipe(
    Effect.andThen(isGone(dataDirectory, pid)),
    Effect.repeat({ until: (gone) => gone }),
    Effect.timeoutOrElse({
      duration: stopTimeout,
      orElse: () =>
        Effect.fail(
          new DaemonFailed({
            message: `The server (pid ${pid}) is still there after ${stopTimeout}. End it with: kill -9 ${pid}`
          })
        )
    })
  )
  return found
})

/** Whether a server that was asked to stop has left the data directory to the next one. */
const isGone = Effect.fnUntraced(function*(dataDirectory: string, pid: number) {
  const files = filesOf(dataDirectory)
  const named = readNumber(files.pid)
  if (named !== undefined && named !== pid) return true
  if (!isAlive(pid)) return true
  // A process looks alive until its parent waits for it; its lock was freed all the same.
  return named === undefined &&
    (yield* Effect.scoped(tryLock(files.lock)).pipe(Effect.orElseSucceed(() => true)))
})

const readNumber = (path: string): number | undefined => {
  const digits = readDigits(path)
  return digits === undefined ? undefined : Number(digits)
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
