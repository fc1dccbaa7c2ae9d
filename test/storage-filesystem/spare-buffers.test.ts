/**
 * A reused buffer belongs to one user at a time.
 */
import { assert, it } from "vitest"
import { SpareBuffers } from "../../src/storage-filesystem/disk/spare-buffers.ts"

const piece = 256 * 1024
const smallest = 4 * 1024

const buffers = new SpareBuffers(piece, smallest, 2)

it("a buffer that is given back is used again, and given back twice it is used once", () => {
  const first = buffers.take(piece)
  first.release?.()
  first.release?.()
  const second = buffers.take(piece)
  const third = buffers.take(piece)
  assert.strictEqual(second.bytes.buffer, first.bytes.buffer)
  assert.notStrictEqual(third.bytes.buffer, first.bytes.buffer)
})

it("a buffer that is not given back goes to no other user", () => {
  const first = buffers.take(piece)
  assert.notStrictEqual(buffers.take(piece).bytes.buffer, first.bytes.buffer)
})

it("a buffer is as long as its user asked for", () => {
  for (const length of [1, smallest - 1, smallest, piece - 1, piece, piece + 1, 4 * piece]) {
    assert.strictEqual(buffers.take(length).bytes.length, length)
  }
})
