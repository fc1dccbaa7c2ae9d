/**
 * What the events of a block carry, cut out of their bytes by position: JSON messages as one array, or bytes. Nothing is
 * parsed (promise 8).
 */
import { dataStart } from "../durable-streams/event-block.ts"
import { bytesOf } from "../durable-streams/event-data.ts"
import type { EventBlock } from "../durable-streams/types.ts"
import { createdAtTail, isJson } from "../durable-streams/types.ts"

/** The events of the blocks as the body of an answer. A copy: the blocks may be released. */
export const bodyOf = (blocks: ReadonlyArray<EventBlock>, contentType: string): Buffer =>
  isJson(contentType) ? jsonArray(blocks) : Buffer.concat(blocks.flatMap(eventBytes))

/** `[` messages joined by `,` `]`, each as the text that was sent; `before` and `after` it, ASCII that goes around it. */
export const jsonArray = (blocks: ReadonlyArray<EventBlock>, before = "", after = ""): Buffer => {
  let size = before.length + after.length + 2
  for (const block of blocks) {
    size -= block.count * (dataStart(block) + createdAtTail.length - 1)
    for (let i = 0; i < block.count; i++) size += block.ends[i]! - block.starts[i]!
  }
  // One too many where there is a message: there are fewer commas than messages.
  const target = Buffer.allocUnsafe(size)
  let at = target.write(before, 0, "latin1")
  target[at++] = 0x5b
  const first = at
  for (const block of blocks) {
    const { count, ends, starts } = block
    const source = asBuffer(block.bytes)
    const front = dataStart(block)
    for (let i = 0; i < count; i++) {
      if (at > first) target[at++] = 0x2c
      at += source.copy(target, at, starts[i]! + front, ends[i]! - createdAtTail.length)
    }
  }
  target[at++] = 0x5d
  at += target.write(after, at, "latin1")
  return target.subarray(0, at)
}

/** The bytes of each event, which may share the block's memory. */
export const eventBytes = (block: EventBlock): Array<Uint8Array> => {
  const front = dataStart(block)
  return Array.from(
    { length: block.count },
    (_, i) => bytesOf(block.bytes.subarray(block.starts[i]! + front, block.ends[i]! - createdAtTail.length))
  )
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
