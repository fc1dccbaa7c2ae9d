/**
 * Whether a further stream may be created. A stream asks before it creates its log; the manager provides the answer
 * (manager/stream-limit.ts), and a stream without a manager is always admitted.
 */
import type { Effect } from "effect"
import { Context } from "effect"
import type { TooManyStreams } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"

export interface StreamAdmission {
  /** Takes a place for the stream, and runs `create` in it; gives the place back if that fails. */
  readonly admit: <A, E, R>(name: StreamName, create: Effect.Effect<A, E, R>) => Effect.Effect<A, E | TooManyStreams, R>
}

export const StreamAdmission = Context.Reference<StreamAdmission>(
  "durable-streams/stream/stream-admission/StreamAdmission",
  { defaultValue: () => ({ admit: (_, create) => create }) }
)
