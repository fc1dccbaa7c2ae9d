/**
 * News of a stream, once they are durable: it was created, has grown, or is gone. Lists of streams and subscriptions listen
 * here. The stream's single writer calls listeners in order; a listener must not throw, and does its work elsewhere.
 */
import { Context } from "effect"
import type { StreamDescription } from "../storage/storage.ts"

export interface StreamSignals {
  readonly created: (description: StreamDescription) => void
  /** `tail` is the offset after the new events. */
  readonly appended: (description: StreamDescription, tail: number) => void
  /** The stream is gone for its users; its forks, if it has any, can still read it. */
  readonly deleted: (description: StreamDescription) => void
  /** The stream is gone for good: its source need not keep events for it any more. */
  readonly forgotten: (description: StreamDescription) => void
}

/** Without another one provided, there is no listener. */
export const StreamSignals = Context.Reference<StreamSignals>("durable-streams/stream-signals/StreamSignals", {
  defaultValue: () => ({ created: () => {}, appended: () => {}, deleted: () => {}, forgotten: () => {} })
})
