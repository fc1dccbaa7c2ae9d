/**
 * The newest events of one stream, kept in memory so that an event is not read from disk once for every live follower.
 */
import { joinBlocks, sliceBlock } from "./event-block.ts"
import type { EventBlock } from "./types.ts"

/** Enough for a follower that is some hundred events behind, little enough for a thousand busy streams. */
const bytesKept = 64 * 1024

/** Places of blocks that were let go are given back this many at a time: one by one, each would move all the others. */
const emptyMax = 256

export class RecentEvents {
  #blocks: Array<EventBlock | undefined> = []
  /** Where the oldest block stands. */
  #oldest = 0
  #bytes = 0

  /** Adds the events of a commit, and lets the oldest go. */
  add(events: EventBlock): void {
    if (events.count === 0) return
    this.#blocks.push(events)
    this.#bytes += events.bytes.length
    while (this.#bytes > bytesKept && this.#oldest < this.#blocks.length - 1) {
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
    this.#bytes = 0
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
    return joinBlocks([block, ...this.#blocks.slice(index + 1) as Array<EventBlock>], bytesMax)
  }
}
