/**
 * Waiting appends as one commit: each is judged in order as if those before it were durable, and the events of those that
 * stand get their offsets and their bytes. Pure: what becomes of the commit is the stream's business.
 */
import type { Exit } from "effect"
import type { AppendError, AppendRequest } from "./durable-stream.ts"
import { layOut } from "./event-block.ts"
import type { EventBlock, StreamName } from "./types.ts"
import { StreamClosed, TailMismatch } from "./errors.ts"
import { toOffset } from "./types.ts"

export interface WaitingAppend {
  readonly kind: "append"
  readonly request: AppendRequest
  /** About what it will take in the log. */
  readonly bytes: number
  readonly done: (exit: Exit.Exit<EventBlock, AppendError>) => void
}

export interface Batch {
  /** Appends that stand, each with the offset of its first event. */
  readonly accepted: ReadonlyArray<readonly [entry: WaitingAppend, first: number]>
  /** Appends that do not, given those before them in the batch. */
  readonly refused: ReadonlyArray<readonly [entry: WaitingAppend, error: AppendError]>
  readonly events: EventBlock
  /** Whether the batch closes the stream. */
  readonly closes: boolean
}

/** `tail` and `closed` are the stream's before the batch; `now` is when its events are created, as RFC 3339. */
export const toBatch = (
  name: StreamName,
  entries: ReadonlyArray<WaitingAppend>,
  tail: number,
  closed: boolean,
  now: string
): Batch => {
  const accepted: Array<readonly [WaitingAppend, number]> = []
  const refused: Array<readonly [WaitingAppend, AppendError]> = []
  const beforeData = `","eventStreamId":${JSON.stringify(name)},"data":`
  const afterData = `,"createdAt":"${now}"}\n`
  const lines: Array<string> = []
  let next = tail
  let closes = false
  for (const entry of entries) {
    const { close, data, ifMatch } = entry.request
    if (closed || closes) {
      refused.push([entry, new StreamClosed({ stream: name, tail: toOffset(next) })])
    } else if (ifMatch !== undefined && ifMatch !== next) {
      const error = new TailMismatch({ stream: name, expected: toOffset(ifMatch), tail: toOffset(next) })
      refused.push([entry, error])
    } else {
      accepted.push([entry, next])
      for (const { text } of data) lines.push(`{"offset":"${toOffset(next++)}${beforeData}${text}${afterData}`)
      closes = close === true
    }
  }
  return { accepted, refused, closes, events: layOut(tail, lines) }
}
