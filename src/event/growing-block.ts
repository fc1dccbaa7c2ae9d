/**
 * A piece of memory that events of one stream are copied into until it is full. Bytes of its own: as they come, those of
 * small commits lie between other streams' in memory that Node shares out 64 KiB at a time, and as long as one of them
 * is kept, so is all of it.
 */
import type { EventBlock } from "../domain/types.ts"

export class GrowingBlock {
  readonly first: number
  /** The memory it takes, in bytes. */
  readonly size: number
  readonly #bytes: Buffer
  readonly #starts: Array<number> = []
  readonly #ends: Array<number> = []
  #used = 0

  constructor(first: number, size: number) {
    this.first = first
    this.size = size
    this.#bytes = Buffer.allocUnsafeSlow(size)
  }

  /** Copies a block that is not empty behind what is there; as it lies here, or undefined where there is no room. */
  add({ bytes, count, ends, first, starts }: EventBlock): EventBlock | undefined {
    const from = starts[0]!
    const to = ends[count - 1]!
    const shift = this.#used - from
    if (to + shift >= this.size) return undefined
    this.#bytes.set(bytes.subarray(from, to), this.#used)
    // Events a line feed apart are copied at once when they are sent (joinEvents in framing.ts).
    this.#bytes[to + shift] = lineFeed
    this.#used = to + shift + 1
    const ownStarts = new Array<number>(count)
    const ownEnds = new Array<number>(count)
    for (let i = 0; i < count; i++) {
      this.#starts.push(ownStarts[i] = starts[i]! + shift)
      this.#ends.push(ownEnds[i] = ends[i]! + shift)
    }
    return { first, count, bytes: this.#bytes, starts: ownStarts, ends: ownEnds }
  }

  /** What is there now, from offset `next` on. Shares the bytes; what is added later does not change it. */
  from(next: number): EventBlock {
    const skip = Math.max(0, next - this.first)
    const starts = this.#starts.slice(skip)
    return { first: this.first + skip, count: starts.length, bytes: this.#bytes, starts, ends: this.#ends.slice(skip) }
  }
}

/** The memory that a block takes in one of these. */
export const sizeOf = ({ count, ends, starts }: EventBlock): number =>
  count === 0 ? 0 : ends[count - 1]! - starts[0]! + 1

const lineFeed = 0x0a
