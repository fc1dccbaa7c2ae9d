/**
 * What the events of a block carry, cut out of their bytes by position: JSON messages as one array, or bytes. Nothing is
 * parsed (promise 8).
 */
import type { EventBlock } from "../domain/types.ts"
import { createdAtTail, isJson } from "../domain/types.ts"
import { dataSlice, dataStart } from "../event/event-block.ts"
import { asBuffer, bytesOf } from "../event/event-data.ts"
import type { PieceMemory } from "../http/exchange.ts"

/** How the events of one stream follow each other in an answer. ASCII; between messages stands one character. */
export interface Joints {
  readonly before: string
  readonly between: string
  readonly after: string
}

const arrayJoints: Joints = { before: "[", between: ",", after: "]" }
const noJoints: Joints = { before: "", between: "", after: "" }

export const jointsOf = (contentType: string): Joints => isJson(contentType) ? arrayJoints : noJoints

/** The events of the blocks, joined. A copy: the blocks may be released. */
export const bodyOf = (
  blocks: ReadonlyArray<EventBlock>,
  contentType: string,
  joints: Joints = jointsOf(contentType),
  memory?: PieceMemory
): Uint8Array => isJson(contentType) ? joinMessages(blocks, joints, memory) : Buffer.concat(blocks.flatMap(eventBytes))

/** The messages of the blocks, each as the text that was sent. */
export const joinMessages = (
  blocks: ReadonlyArray<EventBlock>,
  joints: Joints,
  memory?: PieceMemory
): Uint8Array => {
  const size = joinedBytes(blocks, joints)
  return memory === undefined
    ? writeMessages(blocks, joints, Buffer.allocUnsafe(size))
    : memory.fill(size, (target) => writeMessages(blocks, joints, target))
}

/** The most bytes that the joined messages take: one more than there are where there is a message. */
const joinedBytes = (blocks: ReadonlyArray<EventBlock>, { after, before, between }: Joints): number => {
  let size = before.length + after.length
  for (const block of blocks) {
    size -= block.count * (dataStart(block) + createdAtTail.length - between.length)
    for (let i = 0; i < block.count; i++) size += block.ends[i]! - block.starts[i]!
  }
  return size
}

const writeMessages = (blocks: ReadonlyArray<EventBlock>, { after, before, between }: Joints, target: Buffer) => {
  let at = target.write(before, 0, "latin1")
  const first = at
  const separator = between.charCodeAt(0)
  for (const block of blocks) {
    const { count, ends, starts } = block
    const source = asBuffer(block.bytes)
    const front = dataStart(block)
    for (let i = 0; i < count; i++) {
      if (at > first) target[at++] = separator
      at += source.copy(target, at, starts[i]! + front, ends[i]! - createdAtTail.length)
    }
  }
  at += target.write(after, at, "latin1")
  return target.subarray(0, at)
}

/** The bytes of each event, which may share the block's memory. */
export const eventBytes = (block: EventBlock): Array<Uint8Array> => {
  const front = dataStart(block)
  return Array.from({ length: block.count }, (_, i) => bytesOf(dataSlice(block, i, front)))
}
