/**
 * The newest events of one stream, kept in memory so that an event is not read from disk once for every live follower.
 */
import type { EventBlock } from "../domain/types.ts"
import { joinBlocks, sliceBlock } from "../event/event-block.ts"
import { GrowingBlock, sizeOf } from "../event/growing-block.ts"

/** Enough for a follower that is some hundred events behind, little enough to have for a thousand busy streams. */
const bytesKept = 64 * 1024

/** Smaller commits are joined to pieces of this size: a small commit by itself takes three times its bytes in objects. */
const pieceBytes = 8 * 1024

/** The first piece of a stream is small: most streams stay small. */
const firstPieceBytes = pieceBytes / 8

/** Array places of dropped blocks are freed this many at a time: freeing one moves all blocks behind it. */
const emptyMax = 256

export class RecentEvents {
  #blocks: Array<EventBlock | undefined> = []
  /** The index of the oldest block. */
  #oldest = 0
  /** The piece behind the blocks, which still grows. */
  #piece: GrowingBlock | undefined
  /** The newest commit: all live followers ask for it, and share one block. */
  #newest: EventBlock | undefined
  /** The newest join: followers that are at the same offset ask one after the other. */
  #joined: { readonly block: EventBlock; readonly bytesMax: number } | undefined
  #bytes = 0

  /** Adds the events of a commit, and drops the oldest ones. */
  add(events: EventBlock): void {
    if (events.count === 0) return
    this.#joined = undefined
    if (sizeOf(events) < pieceBytes) this.#newest = this.#piece?.add(events) ?? this.#begin(events)
    else {
      this.#finish()
      this.#newest = events
      this.#blocks.push(events)
      this.#bytes += events.bytes.length
    }
    while (this.#bytes > bytesKept && this.#oldest < this.#blocks.length - (this.#piece === undefined ? 1 : 0)) {
      this.#bytes -= this.#blocks[this.#oldest]!.bytes.length
      this.#blocks[this.#oldest++] = undefined
    }
    if (this.#oldest < emptyMax) return
    this.#blocks.splice(0, this.#oldest)
    this.#oldest = 0
  }

  clear(): void {
    this.#blocks = []
    this.#oldest = 0
    this.#piece = undefined
    this.#newest = undefined
    this.#joined = undefined
    this.#bytes = 0
  }

  /** The events from offset `next` on; undefined if some of them are not in memory. */
  from(next: number, bytesMax: number): EventBlock | undefined {
    if (this.#newest === undefined) return undefined
    if (next >= this.#newest.first) return sliceBlock(this.#newest, next)
    const oldest = this.#blocks[this.#oldest] ?? this.#piece
    if (oldest === undefined || next < oldest.first) return undefined
    const known = this.#joined
    if (known?.block.first === next && known.bytesMax === bytesMax) return known.block
    const block = this.#join(next, bytesMax)
    this.#joined = { block, bytesMax }
    return block
  }

  /** Copies several small blocks into one, which saves the follower a write for each. */
  #join(next: number, bytesMax: number): EventBlock {
    if (this.#piece !== undefined && next >= this.#piece.first) return this.#piece.from(next)
    let index = this.#blocks.length - 1
    while (this.#blocks[index]!.first > next) index--
    const [first, ...others] = this.#blocks.slice(index) as Array<EventBlock>
    const growing = this.#piece === undefined ? [] : [this.#piece.from(0)]
    return joinBlocks([sliceBlock(first!, next), ...others, ...growing], bytesMax)
  }

  #begin(events: EventBlock): EventBlock {
    this.#finish()
    const size = Math.max(this.#blocks.length === 0 ? firstPieceBytes : pieceBytes, sizeOf(events))
    this.#piece = new GrowingBlock(events.first, size)
    this.#bytes += size
    return this.#piece.add(events)!
  }

  #finish(): void {
    if (this.#piece !== undefined) this.#blocks.push(this.#piece.from(0))
    this.#piece = undefined
  }
}
