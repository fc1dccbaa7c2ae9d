/**
 * One durable stream: create, append, read, follow, fork, expire, delete. No hook, no network, no disk in sight.
 *
 * A single writer makes every change, in order (`writer.ts`, `group-commit.ts`, `lifecycle.ts`, `forks.ts`), on the log
 * that is open (`open-log.ts`). Readers see only durable events (promise 2); followers hold an offset and are woken to
 * read (promise 6; `reader.ts`).
 */
import { Effect, Exit } from "effect"
import type { StreamName } from "../domain/types.ts"
import { emptyBlock } from "../event/event-block.ts"
import type { DurableStream } from "./durable-stream.ts"
import { makeForks } from "./forks.ts"
import { makeGroupCommit } from "./group-commit.ts"
import { makeLifecycle } from "./lifecycle.ts"
import { makeOpenLog } from "./open-log.ts"
import { makeReader } from "./reader.ts"
import { makeWriter } from "./writer.ts"

export const makeDurableStream = Effect.fnUntraced(function*(name: StreamName) {
  const open = yield* makeOpenLog(name)
  const forks = yield* makeForks(open)
  const { create, deleteIf, ensureCurrent, removeUnread } = yield* makeLifecycle(open, forks)
  const writer = yield* makeWriter(name, yield* makeGroupCommit(open, ensureCurrent))

  /** Runs when the task's turn comes, on a log that is current. */
  const inTurn = <A, E>(task: Effect.Effect<A, E>) => writer.inTurn(Effect.andThen(ensureCurrent, task))

  const appendUnsafe: DurableStream["appendUnsafe"] = (request, done) =>
    request.data.length === 0 && request.close !== true
      ? done(Exit.succeed({ events: emptyBlock(open.tail), tail: open.tail, closed: open.closed, producer: undefined }))
      : writer.append(request, done)

  const release = (forkId: string) =>
    Effect.sync(() => forks.cancel(forkId)).pipe(
      Effect.andThen(ensureCurrent),
      Effect.andThen(forks.release(forkId)),
      Effect.andThen(removeUnread),
      Effect.catchTag("StreamNotFound", () => open.reopenLost)
    )

  // The log is closed also if the scope has closed by the time that it is open.
  yield* Effect.acquireRelease(open.open, () => Effect.andThen(writer.idle, open.close))
  // Forks can be gone without having said so: the next time that the stream wakes is soon enough to find out.
  yield* Effect.ignore(removeUnread)

  const stream: DurableStream = {
    name,
    append: (request) => Effect.callback((resume) => appendUnsafe(request, resume)),
    appendUnsafe,
    create: (request, reservation) => inTurn(create(request, reservation)),
    isThere: () => open.log !== undefined,
    ...makeReader(open, inTurn(Effect.void)),
    reserve: (fork, offset, subOffset) => inTurn(forks.reserve(fork, offset, subOffset)),
    release: (forkId) => writer.inTurn(release(forkId)),
    delete: inTurn(deleteIf(() => Effect.void)),
    deleteIf: (check) => inTurn(deleteIf(check)),
    expire: Effect.map(inTurn(Effect.void), () => open.due())
  }
  return stream
})
