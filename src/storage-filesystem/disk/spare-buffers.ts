/**
 * Memory that is used again. Buffers lie outside V8's heap, and each 64 MB of new ones make the garbage collector go over
 * the whole heap to get the old ones back: a catch-up, or appends of many events at once, would fill that ten times a
 * second (docs/perf/append.md).
 */

export interface Taken {
  readonly bytes: Buffer
  /** Gives the memory back, once; nobody may look at it afterwards. Memory that is not given back is lost to others only. */
  readonly release: (() => void) | undefined
}

/** Pieces of one size, for whoever needs `lengthMin` bytes of them or more. Less, or more than a piece, is made anew. */
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

/** What a reader in catch-up asks for at a time (stream.ts); as many readers at once as two or four processors can serve. */
const readBuffers = new SpareBuffers(512 * 1024, 256 * 1024, 8)

/** A commit of as many events as one append may have, whole: to be read for one event of it. */
const wholeCommitBuffers = new SpareBuffers(8 * 1024 * 1024, 512 * 1024, 2)

/** Memory to read so many bytes into. */
export const takeToRead = (length: number): Taken =>
  length <= 512 * 1024 ? readBuffers.take(length) : wholeCommitBuffers.take(length)

/**
 * A commit of the largest size (writer.ts) and what stands around its events, for logs that are written to at once;
 * what is not touched of a piece takes no memory. Small ones Node cuts out of a buffer it has.
 */
const commitBuffers = new SpareBuffers(2 * 1024 * 1024, 4 * 1024, 4)

/** The memory of one commit, from its being put together until it is durable. */
export class CommitMemory {
  #taken: Taken | undefined

  readonly allocate = (length: number): Buffer => (this.#taken = commitBuffers.take(length)).bytes

  /** Only after that: where writing has failed, a thread may still be at it. */
  release(): void {
    this.#taken?.release?.()
  }
}
