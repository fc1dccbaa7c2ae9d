/**
 * The newest events of one stream, kept in memory so that an event is not read from disk once for every live follower.
 */
import { joinBlocks, sliceBlock } from "./event-block.ts"
import type { EventBlock } from "./types.ts"

/** Enough for a follower that is some hundred events behind, little enough for a thousand busy streams. */
const bytesKept = 64 * 1024

export class RecentEvents {
  #blocks: Array<EventBlock> = []
  #bytes = 0

  /** Adds the events of a commit, and lets the oldest go. */
  add(events: EventBlock): void {
    if (events.count === 0) return
    this.#blocks.push(events)
    this.#bytes += events.bytes.length
    while (this.#blocks.length > 1 && this.#bytes > bytesKept) this.#bytes -= this.#blocks.shift()!.bytes.length
  }

  clear(): void {
    this.#blocks = []
    this.#bytes = 0
  }

  /** The events from offset `next` on; undefined when they are not all here. */
  from(next: number, bytesMax: number): EventBlock | undefined {
    const oldest = this.#blocks[0]
    if (oldest === undefined || next < oldest.first) return undefined
    const newest = this.#blocks.length - 1
    let index = newest
    while (this.#blocks[index]!.first > next) index--
    const block = sliceBlock(this.#blocks[index]!, next)
    // One block is shared by all who follow live; several small ones are worth a copy to save a write each.
    return index === newest ? block : joinBlocks([block, ...this.#blocks.slice(index + 1)], bytesMax)
  }
}
