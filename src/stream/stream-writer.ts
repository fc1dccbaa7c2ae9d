/**
 * The single writer of a stream: everything that changes it takes its turn here. Appends that wait at the same time are
 * committed together, as many as one commit takes (group commit); all else runs alone.
 */
import { Effect, Exit } from "effect"
import { Overloaded } from "../domain/errors.ts"
import { fixedLimits } from "../domain/limits.ts"
import type { StreamName } from "../domain/types.ts"
import type { WaitingAppend } from "./append-batch.ts"
import type { AppendRequest } from "./durable-stream.ts"
import { atEndOfTurn } from "./end-of-turn.ts"

interface StreamWriter {
  /** Calls `done` once, when the append's commit has been answered. */
  readonly append: (request: AppendRequest, done: WaitingAppend["done"]) => void
  /** Runs the task when its turn comes. Interrupting the caller stops nothing. */
  readonly inOrder: <A, E>(task: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Judge these again, before everything else: what they were judged by is not so. */
  readonly again: (entries: ReadonlyArray<WaitingAppend>) => void
  /** Waits until nothing is under way. */
  readonly still: Effect.Effect<void>
}

/** What one commit takes at the most, so that recovery looks back a bounded way. A single larger append passes alone. */
const commitBytesMax = 1024 * 1024

const { waitingBytesMax } = fixedLimits

/** What a line of the log has besides name and data, about. */
const lineOverhead = 100

/** `commit` answers every append it is given, or hands it back with `again`. */
export const makeWriter = Effect.fnUntraced(function*(
  name: StreamName,
  commit: (taken: ReadonlyArray<WaitingAppend>) => Effect.Effect<void>
) {
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const waiting: Array<WaitingAppend | WaitingTask> = []
  let waitingBytes = 0
  let writing = false

  const enqueue = (entry: WaitingAppend | WaitingTask) => {
    waiting.push(entry)
    if (writing) return
    writing = true
    atEndOfTurn(goOn)
  }

  /** Gives everybody a turn until nobody waits, or what has its turn takes its time. */
  const goOn = () => {
    while (waiting.length > 0) {
      const taken = takeAppends()
      const fiber = runFork(taken.length > 0 ? commit(taken) : (waiting.shift() as WaitingTask).run)
      const exit = fiber.pollUnsafe()
      if (exit === undefined) {
        fiber.addObserver((exit) => {
          release(taken, exit)
          goOn()
        })
        return
      }
      release(taken, exit)
    }
    writing = false
  }

  /** The appends at the front, as many as one commit takes, in order; none where a task is first. */
  const takeAppends = (): ReadonlyArray<WaitingAppend> => {
    const taken: Array<WaitingAppend> = []
    let bytes = 0
    for (const entry of waiting) {
      if (entry.kind !== "append" || (bytes > 0 && bytes + entry.bytes > commitBytesMax)) break
      taken.push(entry)
      bytes += entry.bytes
    }
    if (taken.length === 0) return taken
    if (taken.length === waiting.length) waiting.length = 0
    else waiting.splice(0, taken.length)
    waitingBytes -= bytes
    return taken
  }

  const inOrder = <A, E>(task: Effect.Effect<A, E>) =>
    Effect.callback<A, E>((resume) => {
      enqueue({ kind: "task", run: Effect.map(Effect.exit(task), (exit) => resume(exit)) })
    })

  const writer: StreamWriter = {
    inOrder,
    append: (request, done) => {
      let bytes = 0
      for (const { byteLength } of request.data) bytes += byteLength + name.length + lineOverhead
      // One that is alone would be refused again however often it came.
      if (waitingBytes > 0 && waitingBytes + bytes > waitingBytesMax) {
        return done(Exit.fail(
          new Overloaded({
            message: `Too many appends to ${JSON.stringify(name)} are waiting for the disk; try again.`
          })
        ))
      }
      waitingBytes += bytes
      enqueue({ kind: "append", request, bytes, done })
    },
    again: (entries) => {
      waiting.unshift(...entries)
      for (const { bytes } of entries) waitingBytes += bytes
    },
    still: Effect.suspend(() => writing ? inOrder(Effect.void) : Effect.void)
  }
  return writer
})

interface WaitingTask {
  readonly kind: "task"
  readonly run: Effect.Effect<void>
}

/** A defect of ours must not leave anybody waiting. */
const release = (taken: ReadonlyArray<WaitingAppend>, exit: Exit.Exit<void>): void => {
  if (Exit.isSuccess(exit)) return
  for (const entry of taken) entry.done(Exit.failCause(exit.cause))
}
