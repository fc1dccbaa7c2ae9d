/**
 * Memory for reads that is used again. Buffers lie outside V8's heap: a catch-up that takes two new ones a read fills
 * gigabytes of it, and the garbage collector goes over the whole heap to get them back.
 */

/** What a reader in catch-up asks for at a time (stream.ts). */
const pieceBytes = 512 * 1024

/** Four megabytes: as many readers at once as two or four processors can serve. */
const spareMax = 8

const spare: Array<Buffer> = []

export interface ReadBuffer {
  readonly bytes: Buffer
  /** Gives the memory back, once; nobody may look at it afterwards. */
  readonly release: (() => void) | undefined
}

export const takeBuffer = (length: number): ReadBuffer => {
  if (length > pieceBytes || length < pieceBytes / 2) return { bytes: Buffer.allocUnsafe(length), release: undefined }
  const piece = spare.pop() ?? Buffer.allocUnsafeSlow(pieceBytes)
  let taken = true
  return {
    bytes: piece.subarray(0, length),
    release: () => {
      if (taken && spare.length < spareMax) spare.push(piece)
      taken = false
    }
  }
}
