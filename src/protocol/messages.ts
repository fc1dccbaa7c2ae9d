/**
 * What the events of a block carry, cut out of their bytes by position: JSON messages as one array, or bytes. Nothing is
 * parsed (promise 8).
 */
import { dataSlice, dataStart } from "../durable-streams/event-block.ts"
import { asBuffer, bytesOf } from "../durable-streams/event-data.ts"
import type { EventBlock } from "../durable-streams/types.ts"
import { createdAtTail, isJson } from "../durable-streams/types.ts"

/** How the events of one stream follow each other in an answer. ASCII. */
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
  joints: Joints = jointsOf(contentType)
): Buffer => isJson(contentType) ? joinMessages(blocks, joints) : Buffer.concat(blocks.flatMap(eventBytes))

/** The messages of the blocks, each as the text that was sent. */
export const joinMessages = (blocks: ReadonlyArray<EventBlock>, { after, before, between }: Joints): Buffer => {
  let size = before.length + after.length
  for (const block of blocks) {
    size -= block.count * (dataStart(block) + createdAtTail.length - between.length)
    for (let i = 0; i < block.count; i++) size += block.ends[i]! - block.starts[i]!
  }
  // Too many where there is a message: there are fewer gaps than messages.
  const target = Buffer.allocUnsafe(size)
  let at = target.write(before, 0, "latin1")
  const first = at
  for (const block of blocks) {
    const { count, ends, starts } = block
    const source = asBuffer(block.bytes)
    const front = dataStart(block)
    for (let i = 0; i < count; i++) {
      if (at > first) at += target.write(between, at, "latin1")
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
