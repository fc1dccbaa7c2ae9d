/**
 * The single writer of a stream: every change takes its turn here. Appends that wait at the same time are committed
 * together, as many as one commit takes (group commit); every other change runs alone.
 */
import { Effect, Exit } from "effect"
import { Overloaded } from "../domain/errors.ts"
import { fixedLimits } from "../domain/limits.ts"
import type { StreamName } from "../domain/types.ts"
import type { WaitingAppend } from "./append-batch.ts"
import type { AppendRequest } from "./durable-stream.ts"

interface Writer {
  /** Calls `done` once, when the append's commit has been answered. */
  readonly append: (request: AppendRequest, done: WaitingAppend["done"]) => void
  /** Runs the task when its turn comes. Interrupting the caller stops nothing. */
  readonly inTurn: <A, E>(task: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Waits until no change is under way. */
  readonly idle: Effect.Effect<void>
}

/** The most bytes that one commit takes, so that recovery looks back a bounded way. A single larger append passes alone. */
const commitBytesMax = 1024 * 1024

const { waitingBytesMax } = fixedLimits

/** About how many bytes a line of the log has besides name and data. */
const lineOverhead = 100

/** `commit` answers every append that it is given, except those that it returns to be judged again. */
export const makeWriter = Effect.fnUntraced(function*(
  name: StreamName,
  commit: (taken: ReadonlyArray<WaitingAppend>) => Effect.Effect<ReadonlyArray<WaitingAppend>>
) {
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const waiting: Array<WaitingAppend | WaitingTask> = []
  let waitingBytes = 0
  let isWriting = false

  const enqueue = (entry: WaitingAppend | WaitingTask) => {
    waiting.push(entry)
    if (isWriting) return
    isWriting = true
    runAtEndOfTurn(runTurns)
  }

  /** Gives turns until nothing waits, or until a turn takes its time. */
  const runTurns = () => {
    while (waiting.length > 0) {
      const taken = takeAppends()
      const turn = taken.length > 0 ? Effect.suspend(() => commit(taken)) : (waiting.shift() as WaitingTask).run
      const fiber = runFork(turn)
      const exit = fiber.pollUnsafe()
      if (exit === undefined) {
        fiber.addObserver((exit) => {
          endTurn(taken, exit)
          runTurns()
        })
        return
      }
      endTurn(taken, exit)
    }
    isWriting = false
  }

  const endTurn = (taken: ReadonlyArray<WaitingAppend>, exit: Exit.Exit<ReadonlyArray<WaitingAppend>>) => {
    if (Exit.isFailure(exit)) {
      // A defect of ours must not leave a caller waiting.
      for (const entry of taken) entry.done(Exit.failCause(exit.cause))
      return
    }
    if (exit.value.length === 0) return
    waiting.unshift(...exit.value)
    for (const { bytes } of exit.value) waitingBytes += bytes
  }

  /** The appends at the front, as many as one commit takes, in order; none if a task is first. */
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

  const append: Writer["append"] = (request, done) => {
    let bytes = 0
    for (const { byteLength } of request.data) bytes += byteLength + name.length + lineOverhead
    // A single append would be refused again however often it came.
    if (waitingBytes > 0 && waitingBytes + bytes > waitingBytesMax) {
      return done(Exit.fail(
        new Overloaded({
          message: `Too many appends to ${JSON.stringify(name)} are waiting for the disk; try again.`
        })
      ))
    }
    waitingBytes += bytes
    enqueue({ kind: "append", request, bytes, done })
  }

  const inTurn: Writer["inTurn"] = <A, E>(task: Effect.Effect<A, E>) =>
    Effect.callback<A, E>((resume) => {
      enqueue({
        kind: "task",
        run: Effect.map(Effect.exit(task), (exit) => {
          resume(exit)
          return []
        })
      })
    })

  const writer: Writer = {
    append,
    inTurn,
    idle: Effect.suspend(() => isWriting ? inTurn(Effect.void) : Effect.void)
  }
  return writer
})

interface WaitingTask {
  readonly kind: "task"
  readonly run: Effect.Effect<ReadonlyArray<WaitingAppend>>
}

/** Writers of all streams whose turns begin at the end of this turn of the event loop. */
let starting: Array<() => void> = []

/**
 * Runs `start`, which must not throw, when this turn of the event loop has taken in all requests that have arrived, in the
 * order of asking: appends then share a commit, and answers are written one behind the other. A client in another process
 * that waits for many answers is then woken by the first of them; a wake-up for each would cost the server more than the
 * rest of the append (docs/perf/append.md).
 */
const runAtEndOfTurn = (start: () => void): void => {
  if (starting.push(start) === 1) setImmediate(startAll)
}

const startAll = (): void => {
  const taken = starting
  starting = []
  for (const start of taken) start()
}
