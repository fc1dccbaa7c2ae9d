/**
 * What a stream tells of itself once it is durable: that it was made, has grown, or is gone. Whoever keeps lists of
 * streams, or wakes those who wait for one, listens here. Called by the stream's single writer, in order; a listener must
 * not throw, and does its work elsewhere.
 */
import { Context } from "effect"
import type { StreamDescription } from "../storage/storage.ts"

export interface StreamSignals {
  readonly created: (description: StreamDescription) => void
  /** `tail` is the offset after the new events. */
  readonly appended: (description: StreamDescription, tail: number) => void
  /** Nobody can use it any more; where it has forks, they can still read it. */
  readonly deleted: (description: StreamDescription) => void
  /** It is gone for good: what it was forked from need not be kept for it any more. */
  readonly forgotten: (description: StreamDescription) => void
}

/** Nobody listens, unless somebody provides another. */
export const StreamSignals = Context.Reference<StreamSignals>("durable-streams/stream-signals/StreamSignals", {
  defaultValue: () => ({ created: () => {}, appended: () => {}, deleted: () => {}, forgotten: () => {} })
})
