/**
 * A piece of memory that events of one stream are copied into until it is full. It is the stream's own: the bytes of a
 * small commit come in memory that Node shares out 64 KiB at a time, and one small commit would keep all 64 KiB alive.
 */
import type { EventBlock } from "../domain/types.ts"

export class GrowingBlock {
  readonly first: number
  /** The memory that it takes, in bytes. */
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

  /** Copies a block that is not empty behind the others. Returns the copy; undefined when there is no room. */
  add({ bytes, count, ends, first, starts }: EventBlock): EventBlock | undefined {
    const from = starts[0]!
    const to = ends[count - 1]!
    const shift = this.#used - from
    if (to + shift >= this.size) return undefined
    this.#bytes.set(bytes.subarray(from, to), this.#used)
    // Events a line feed apart are copied at once when they are sent (stream-http/joined-events.ts).
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

  /** The events from offset `next` on. Shares the bytes; later additions do not change it. */
  from(next: number): EventBlock {
    const skip = Math.max(0, next - this.first)
    const starts = this.#starts.slice(skip)
    return { first: this.first + skip, count: starts.length, bytes: this.#bytes, starts, ends: this.#ends.slice(skip) }
  }
}

/** The memory that a block takes in a growing block. */
export const sizeOf = ({ count, ends, starts }: EventBlock): number =>
  count === 0 ? 0 : ends[count - 1]! - starts[0]! + 1

const lineFeed = 0x0a
