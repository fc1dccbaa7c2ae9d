/**
 * Memory that is used again. Buffers lie outside V8's heap, and after each 64 MB of new buffers the garbage collector walks
 * the whole heap to free old ones: a catch-up, or appends of many events at once, would make it do so ten times a second
 * (docs/perf/append.md).
 */

export interface Taken {
  readonly bytes: Buffer
  /** Gives the memory back, once; the caller must not read it afterwards. Memory that is not given back is just not reused. */
  readonly release: (() => void) | undefined
}

/** Pieces of one size, for callers that need at least `lengthMin` bytes. Less, or more than a piece, is allocated anew. */
export class SpareBuffers {
  readonly #spare: Array<Buffer> = []
  readonly #pieceBytes: number
  readonly #lengthMin: number
  readonly #spareMax: number

  constructor(pieceBytes: number, lengthMin: number, spareMax: number) {
    this.#pieceBytes = pieceBytes
    this.#lengthMin = lengthMin
    this.#spareMax = spareMax
  }

  take(length: number): Taken {
    if (length > this.#pieceBytes || length < this.#lengthMin) {
      return { bytes: Buffer.allocUnsafe(length), release: undefined }
    }
    const piece = this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#pieceBytes)
    let taken = true
    return {
      bytes: piece.subarray(0, length),
      release: () => {
        if (taken && this.#spare.length < this.#spareMax) this.#spare.push(piece)
        taken = false
      }
    }
  }
}

/** The size of one read in a catch-up (stream.ts); as many readers at once as two or four processors can serve. */
const readBuffers = new SpareBuffers(512 * 1024, 256 * 1024, 8)

/** A whole commit with as many events as one append may have: a read of one of its events needs all of it. */
const wholeCommitBuffers = new SpareBuffers(8 * 1024 * 1024, 512 * 1024, 2)

/** Memory into which `length` bytes are read. */
export const takeToRead = (length: number): Taken =>
  length <= 512 * 1024 ? readBuffers.take(length) : wholeCommitBuffers.take(length)

/**
 * A commit of the largest size (writer.ts) with the text around its events, one piece for each log that is written to
 * at once; the untouched part of a piece takes no memory. Node cuts small commits out of a buffer that it has.
 */
const commitBuffers = new SpareBuffers(2 * 1024 * 1024, 4 * 1024, 4)

/** The memory of one commit, from its encoding until it is durable. */
export class CommitMemory {
  #taken: Taken | undefined

  readonly allocate = (length: number): Buffer => (this.#taken = commitBuffers.take(length)).bytes

  /** Only after a write that succeeded: after a failure, a thread may still be reading the memory. */
  release(): void {
    this.#taken?.release?.()
  }
}
