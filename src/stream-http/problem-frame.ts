/**
 * A refusal in a frame of Server-Sent Events: the last one of a following that cannot go on, and the only one of an
 * `EventSource` that resumes at a place that is gone (promise 10; docs/decisions/0013-lives.md).
 */
import { Effect } from "effect"
import type { Refusal } from "../domain/refusal.ts"
import { problemText } from "../http/problem.ts"

/**
 * An `EventSource` comes back by itself with the id that it was given last. When that place is gone, the id is the
 * beginning, so that it misses nothing that exists now.
 */
export const problemFrame = (refusal: Refusal): Buffer =>
  Buffer.from(`event: problem\n${isLost(refusal) ? "id: -1\n" : ""}data: ${problemText(refusal)}\n\n`)

/** Whether the follower's place is gone. */
export const isLost = ({ _tag }: Refusal): boolean =>
  _tag === "StreamDeleted" || _tag === "OffsetBeyondTail" || _tag === "OtherLife"

/** Logs a failure of the server; the follower reads it in a frame. */
export const logFailure = (refusal: Refusal, target: string): Effect.Effect<void> => {
  const { status } = refusal
  return status < 500
    ? Effect.void
    : Effect.annotateLogs(Effect.logError(`A following ended: ${refusal.message}`), { target, status })
}
