/**
 * A range of events as the body of an answer: whole when one piece has all of it, else in pieces at the reader's pace.
 * Every API reads a range this way and passes its own source and renderer (docs/protocol.md 4, 12).
 */
import { Effect } from "effect"
import type { EventBlock } from "../domain/types.ts"
import { consumeBlocks, sliceBlock } from "../event/event-block.ts"
import type { Streamed } from "../http/exchange.ts"
import { inPieces, PieceMemory } from "../http/exchange.ts"
import type { Cursor, DurableStream, ReadError } from "../stream/durable-stream.ts"
import type { Fill } from "./joined-events.ts"
import { fillNew } from "./joined-events.ts"

/** Events that all exist already, in order. A source serves one answer. */
export interface RangeSource<E> {
  /** Whether all events of the range have been read. */
  readonly isAtEnd: () => boolean
  /**
   * Returns the next events, at least one, and moves behind them. Fails when they cannot be read; the range cannot be read
   * on then. The caller must not ask at the end, and must not hold the block after `consumeBlocks`.
   */
  readonly read: Effect.Effect<EventBlock, E>
}

/** One piece of the answer. */
interface Piece {
  readonly isFirst: boolean
  readonly isLast: boolean
  /** Memory for the piece. It may be used again for the next one. */
  readonly fill: Fill
}

/**
 * Returns the blocks as the bytes of a piece. The caller uses the blocks again: the bytes must be a copy. An empty range is
 * one piece without blocks.
 */
export type RenderPiece = (blocks: ReadonlyArray<EventBlock>, piece: Piece) => Uint8Array

/**
 * Returns the body of the answer: bytes when the first piece is the last one, else a body that reads the rest as it is
 * pulled. A piece ends with the block that makes it `pieceBytes` long or longer. Fails when the first piece cannot be
 * read: nothing is answered then. When a later one cannot be read, the body fails and the connection is cut, so that no
 * reader takes a part for the whole.
 */
export const range = <E>(
  source: RangeSource<E>,
  render: RenderPiece,
  pieceBytes: number
): Effect.Effect<Uint8Array | Streamed, E> => {
  const memory = new PieceMemory()
  const refill: Fill = (size, write) => memory.fill(size, write)
  let isFirst = true

  const piece = Effect.gen(function*() {
    const blocks: Array<EventBlock> = []
    let bytes = 0
    while (!source.isAtEnd() && bytes < pieceBytes) {
      const block = yield* source.read
      blocks.push(block)
      bytes += block.ends[block.count - 1]! - block.starts[0]!
    }
    const isLast = source.isAtEnd()
    // The server does not wait until the whole answer is sent, so its memory must not be used again.
    const fill = isFirst && isLast ? fillNew : refill
    const rendered = consumeBlocks(blocks, (blocks) => render(blocks, { isFirst, isLast, fill }))
    isFirst = false
    return rendered
  })

  return Effect.map(piece, (first) =>
    source.isAtEnd()
      ? first
      : inPieces(first, Effect.suspend(() => source.isAtEnd() ? Effect.undefined : piece)))
}

/** The events of a stream from `start` up to `end`, which must not be beyond the tail. */
export const streamRange = (
  stream: Pick<DurableStream<unknown>, "read">,
  start: Cursor,
  end: number
): RangeSource<ReadError> => {
  let cursor = start
  return {
    isAtEnd: () => cursor.next >= end,
    read: Effect.map(Effect.suspend(() => stream.read(cursor)), (found) => {
      const block = sliceBlock(found, cursor.next, end - cursor.next)
      cursor = { life: cursor.life, next: cursor.next + block.count }
      return block
    })
  }
}
