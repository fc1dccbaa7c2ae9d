/**
 * The single writer of a stream: everything that changes it takes its turn here. Appends that wait at the same time are
 * committed together, as many as one commit takes (group commit); all else runs alone.
 */
import { type Cause, Effect, Exit } from "effect"
import type { WaitingAppend } from "./append-batch.ts"
import type { Appended, AppendError, AppendRequest } from "./durable-stream.ts"
import { Overloaded } from "./errors.ts"
import type { StreamName } from "./types.ts"

interface StreamWriter {
  /** Answers when the append's commit has. */
  readonly append: (request: AppendRequest) => Effect.Effect<Appended, AppendError>
  /** Runs the task when its turn comes. Interrupting the caller stops nothing. */
  readonly inOrder: <A, E>(task: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Judge these again, before everything else: what they were judged by is not so. */
  readonly again: (entries: ReadonlyArray<WaitingAppend>) => void
  /** Waits until nothing is under way. */
  readonly still: Effect.Effect<void>
}

/** What one commit takes at the most, so that recovery looks back a bounded way. A single larger append passes alone. */
const commitBytesMax = 1024 * 1024

/** Payload bytes that may wait for the disk: a minute of a slow disk, not a heap full of it. */
const waitingBytesMax = 64 * 1024 * 1024

/** What a line of the log has besides name and data, about. */
const lineOverhead = 100

/** `commit` answers every append it is given, or hands it back with `again`. */
export const makeWriter = Effect.fnUntraced(function*(
  name: StreamName,
  commit: (taken: ReadonlyArray<WaitingAppend>) => Effect.Effect<void>
) {
  const services = yield* Effect.context<never>()
  const waiting: Array<WaitingAppend | WaitingTask> = []
  let waitingBytes = 0
  let writing = false

  const enqueue = (entry: WaitingAppend | WaitingTask) => {
    waiting.push(entry)
    if (writing) return
    writing = true
    Effect.runForkWith(services)(turns)
  }

  const turns: Effect.Effect<void> = Effect.gen(function*() {
    // Let every request that has already arrived in this turn of the event loop join the first commit.
    yield* Effect.yieldNow
    while (waiting.length > 0) {
      const first = waiting[0]!
      if (first.kind === "append") {
        const taken = takeAppends()
        yield* commit(taken).pipe(Effect.onError((cause) =>
          Effect.sync(() => {
            for (const entry of taken) entry.done(Exit.failCause(cause))
          })
        ))
      } else {
        waiting.shift()
        yield* first.run
      }
    }
    writing = false
  }).pipe(Effect.onError((cause) =>
    // A defect of ours must not leave anybody waiting, nor the stream without a writer.
    Effect.sync(() => {
      writing = false
      waitingBytes = 0
      for (const entry of waiting.splice(0)) {
        if (entry.kind === "append") entry.done(Exit.failCause(cause))
        else entry.fail(cause)
      }
    })
  ))

  /** As many appends as one commit takes, in order; at least the first. */
  const takeAppends = (): ReadonlyArray<WaitingAppend> => {
    const taken: Array<WaitingAppend> = []
    let bytes = 0
    for (const entry of waiting) {
      if (entry.kind !== "append" || (bytes > 0 && bytes + entry.bytes > commitBytesMax)) break
      taken.push(entry)
      bytes += entry.bytes
    }
    waiting.splice(0, taken.length)
    waitingBytes -= bytes
    return taken
  }

  const inOrder = <A, E>(task: Effect.Effect<A, E>) =>
    Effect.callback<A, E>((resume) => {
      enqueue({
        kind: "task",
        run: Effect.map(Effect.exit(task), (exit) => resume(exit)),
        fail: (cause) => resume(Effect.failCause(cause))
      })
    })

  const writer: StreamWriter = {
    inOrder,
    append: (request) =>
      Effect.callback<Appended, AppendError>((resume) => {
        const bytes = request.data.reduce((sum, { text }) => sum + text.length + name.length + lineOverhead, 0)
        if (waitingBytes + bytes > waitingBytesMax) {
          return resume(Effect.fail(
            new Overloaded({
              message: `Too many appends to ${JSON.stringify(name)} are waiting for the disk; try again.`
            })
          ))
        }
        waitingBytes += bytes
        enqueue({ kind: "append", request, bytes, done: resume })
      }),
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
  readonly fail: (cause: Cause.Cause<never>) => void
}
