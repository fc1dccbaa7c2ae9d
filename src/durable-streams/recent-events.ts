/**
 * The newest events of one stream, kept in memory so that an event is not read from disk once for every live follower.
 */
import { joinBlocks, sliceBlock } from "./event-block.ts"
import type { EventBlock } from "./types.ts"

/** Enough for a follower that is some hundred events behind, little enough for a thousand busy streams. */
const bytesKept = 64 * 1024

/**
 * Commits of one small event are put into pieces of this size: each by itself it takes three times its bytes in objects, and
 * keeps eight kilobytes of other streams' bytes alive that happen to lie beside it.
 */
const pieceBytes = 8 * 1024

/** Places of blocks that were let go are given back this many at a time: one by one, each would move all the others. */
const emptyMax = 256

export class RecentEvents {
  #blocks: Array<EventBlock | undefined> = []
  /** Where the oldest block stands. */
  #oldest = 0
  /** What was joined last: those who follow live are at the same place and ask in a row. */
  #joined: { readonly block: EventBlock; readonly newest: EventBlock; readonly bytesMax: number } | undefined
  #bytes = 0
  /** Where the small blocks at the end begin, and what they take. */
  #small = 0
  #smallBytes = 0

  /** Adds the events of a commit, and lets the oldest go. */
  add(events: EventBlock): void {
    if (events.count === 0) return
    const isSmall = events.bytes.length < pieceBytes
    // The newest block is left as it is: all who follow live ask for it, and share what is made of it.
    if (this.#smallBytes >= pieceBytes || !isSmall) this.#joinSmall()
    this.#blocks.push(events)
    this.#bytes += events.bytes.length
    if (isSmall) this.#smallBytes += events.bytes.length
    else this.#small = this.#blocks.length
    while (this.#bytes > bytesKept && this.#oldest < this.#blocks.length - 1) {
      this.#bytes -= this.#blocks[this.#oldest]!.bytes.length
      this.#blocks[this.#oldest++] = undefined
    }
    if (this.#oldest < emptyMax) return
    this.#blocks.splice(0, this.#oldest)
    this.#small = Math.max(0, this.#small - this.#oldest)
    this.#oldest = 0
  }

  clear(): void {
    this.#blocks = []
    this.#joined = undefined
    this.#oldest = 0
    this.#bytes = 0
    this.#small = 0
    this.#smallBytes = 0
  }

  #joinSmall(): void {
    const from = Math.max(this.#small, this.#oldest)
    const small = this.#blocks.slice(from) as Array<EventBlock>
    if (small.length > 1) {
      const joined = joinBlocks(small, Infinity)
      for (const { bytes } of small) this.#bytes -= bytes.length
      this.#bytes += joined.bytes.length
      this.#blocks.splice(from, small.length, joined)
    }
    this.#small = this.#blocks.length
    this.#smallBytes = 0
  }

  /** The events from offset `next` on; undefined when they are not all here. */
  from(next: number, bytesMax: number): EventBlock | undefined {
    const oldest = this.#blocks[this.#oldest]
    if (oldest === undefined || next < oldest.first) return undefined
    const newest = this.#blocks.length - 1
    let index = newest
    while (this.#blocks[index]!.first > next) index--
    const block = sliceBlock(this.#blocks[index]!, next)
    if (index === newest) return block
    // One block is shared by all who follow live; several small ones are worth a copy to save a write each.
    const last = this.#blocks[newest]!
    const known = this.#joined
    if (known?.block.first === next && known.newest === last && known.bytesMax === bytesMax) return known.block
    const joined = joinBlocks([block, ...this.#blocks.slice(index + 1) as Array<EventBlock>], bytesMax)
    this.#joined = { block: joined, newest: last, bytesMax }
    return joined
  }
}
