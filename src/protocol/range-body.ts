/**
 * A range of events as the body of an answer: in one piece where it is small, else as it is read (docs/protocol.md 12).
 */
import { Effect } from "effect"
import type { EventBlock } from "../domain/types.ts"
import { sliceBlock } from "../event/event-block.ts"
import { inPieces, PieceMemory } from "../http/exchange.ts"
import { bodyOf, jointsOf } from "../stream-http/messages.ts"
import type { Cursor } from "../stream/durable-stream.ts"
import type { Reading } from "./reading.ts"

/** How much is written at a time, about: an answer that is not larger has a length, and is one write. */
const pieceBytesMax = 1024 * 1024

/** The events from the reading's start up to `end`, which all are there. */
export const rangeBody = Effect.fnUntraced(function*({ description, start, stream }: Reading, end: number) {
  const { contentType } = description
  const joints = jointsOf(contentType)
  const memory = new PieceMemory()
  let cursor: Cursor = start

  /** The next piece. What a fork inherits is never in one block with what is its own. */
  const piece = Effect.gen(function*() {
    const isFirst = cursor === start
    const blocks: Array<EventBlock> = []
    let bytes = 0
    while (cursor.next < end && bytes < pieceBytesMax) {
      const found = yield* stream.read(cursor)
      const block = sliceBlock(found, cursor.next, end - cursor.next)
      blocks.push(block)
      bytes += block.ends[block.count - 1]! - block.starts[0]!
      cursor = { life: cursor.life, next: cursor.next + block.count }
    }
    const isLast = cursor.next >= end
    const around = {
      before: isFirst ? joints.before : joints.between,
      between: joints.between,
      after: isLast ? joints.after : ""
    }
    // What is the whole answer is not waited for, and must not lie in memory that is used again.
    const body = bodyOf(blocks, contentType, around, isFirst && isLast ? undefined : memory)
    for (const block of blocks) block.release?.()
    return body
  })

  const first = yield* piece
  return cursor.next >= end
    ? first
    : inPieces(first, Effect.suspend(() => cursor.next >= end ? Effect.undefined : piece))
})
