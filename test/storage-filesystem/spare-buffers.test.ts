/**
 * Memory that is used again belongs to one reader at a time.
 */
import { assert, it } from "vitest"
import { takeBuffer } from "../../src/storage-filesystem/read-buffers.ts"

const piece = 256 * 1024

it("memory that was given back is used again, and given back twice it is used once", () => {
  const first = takeBuffer(piece)
  first.release?.()
  first.release?.()
  const second = takeBuffer(piece)
  const third = takeBuffer(piece)
  assert.strictEqual(second.bytes.buffer, first.bytes.buffer)
  assert.notStrictEqual(third.bytes.buffer, first.bytes.buffer)
})

it("memory that was not given back is nobody else's", () => {
  const first = takeBuffer(piece)
  assert.notStrictEqual(takeBuffer(piece).bytes.buffer, first.bytes.buffer)
})

it("a read is as long as it was asked for", () => {
  for (const length of [1, 16 * 1024, piece - 1, piece, piece + 1, 4 * piece]) {
    assert.strictEqual(takeBuffer(length).bytes.length, length)
  }
})
