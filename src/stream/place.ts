/**
 * Where a reading begins in a stream: at a place that the stream has, or nowhere (promise 10).
 */
import { Effect } from "effect"
import { OffsetBeyondTail } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import { toOffset } from "../domain/types.ts"
import type { Cursor, From } from "./durable-stream.ts"

/** A stream as it is now. */
interface Stand {
  readonly stream: StreamName
  /** The description's id; undefined when there is no stream. */
  readonly id: string | undefined
  readonly life: number
  readonly tail: number
}

/** Fails for an offset beyond the tail. */
export const cursorAt = (from: From, { id, life, stream, tail }: Stand): Effect.Effect<Cursor, OffsetBeyondTail> => {
  const next = from === "beginning" ? 0 : from === "now" ? tail : from
  return next <= tail ? Effect.succeed({ life, next }) : Effect.fail(beyondTail(stream, next, tail, id))
}

const beyondTail = (stream: StreamName, offset: number, tail: number, id: string | undefined): OffsetBeyondTail =>
  new OffsetBeyondTail({
    stream,
    offset: toOffset(offset),
    tail: toOffset(tail),
    ...(id === undefined ? undefined : { life: id })
  })
