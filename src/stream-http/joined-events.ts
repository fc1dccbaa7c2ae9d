/**
 * The events of blocks, joined into one text or into one run of bytes: whole events, or only the data that they carry.
 * Bytes are copied by position and nothing is parsed (promise 8).
 */
import type { EventBlock } from "../domain/types.ts"
import { createdAtTail } from "../domain/types.ts"
import { dataSlice, dataStart } from "../event/event-block.ts"
import { asBuffer, bytesOf } from "../event/event-data.ts"

/** The text in front of joined events, between two of them (one character) and behind them. ASCII. */
export interface Joints {
  readonly before: string
  readonly between: string
  readonly after: string
}

/** Provides a target of `size` bytes or more; `write` fills its front and returns the part that it filled. */
export type Fill = (size: number, write: (target: Buffer) => Uint8Array) => Uint8Array

/** New memory for each call. */
export const fillNew: Fill = (size, write) => write(Buffer.allocUnsafe(size))

/** Joins whole events, each exactly as the API shows it. Returns a copy. */
export const joinEvents = (blocks: ReadonlyArray<EventBlock>, joints: Joints, fill: Fill = fillNew): Uint8Array =>
  fill(bytesMax(blocks, joints), (target) => write(blocks, 0, joints, target))

/** Joins the data of events, each as the JSON text that was sent. Returns a copy. */
export const joinData = (blocks: ReadonlyArray<EventBlock>, joints: Joints, fill: Fill = fillNew): Uint8Array =>
  fill(dataBytesMax(blocks, joints), (target) => write(blocks, createdAtTail.length, joints, target))

/** The data of each event as the bytes that it stands for. They may share the block's memory. */
export const dataPieces = (block: EventBlock): Array<Uint8Array> => {
  const front = dataStart(block)
  return Array.from({ length: block.count }, (_, i) => bytesOf(dataSlice(block, i, front)))
}

/** The most bytes that whole events take. */
const bytesMax = (blocks: ReadonlyArray<EventBlock>, { after, before }: Joints): number => {
  let size = before.length + after.length
  for (const { count, ends, starts } of blocks) if (count > 0) size += ends[count - 1]! - starts[0]! + count
  return size
}

/** The most bytes that the data of events takes. Only the character in front of the first one is too many. */
const dataBytesMax = (blocks: ReadonlyArray<EventBlock>, { after, before, between }: Joints): number => {
  let size = before.length + after.length
  for (const block of blocks) {
    size -= block.count * (dataStart(block) + createdAtTail.length - between.length)
    for (let i = 0; i < block.count; i++) size += block.ends[i]! - block.starts[i]!
  }
  return size
}

/** Writes the events, each without its last `back` bytes; without 0 it is whole, else it begins with its data. */
const write = (
  blocks: ReadonlyArray<EventBlock>,
  back: number,
  { after, before, between }: Joints,
  target: Buffer
): Uint8Array => {
  let at = target.write(before, 0, "latin1")
  const first = at
  const separator = between.charCodeAt(0)
  for (const block of blocks) {
    const { count, ends, starts } = block
    const source = asBuffer(block.bytes)
    const isWhole = back === 0
    const front = isWhole ? 0 : dataStart(block)
    for (let i = 0; i < count;) {
      if (at > first) target[at++] = separator
      const from = starts[i]! + front
      let last = i
      // Whole events of one commit lie a byte apart: they are copied at once, and the bytes between them are overwritten.
      if (isWhole) { while (last + 1 < count && starts[last + 1] === ends[last]! + 1) last++ }
      source.copy(target, at, from, ends[last]! - back)
      for (; i < last; i++) target[at + ends[i]! - from] = separator
      at += ends[last]! - back - from
      i++
    }
  }
  at += target.write(after, at, "latin1")
  return target.subarray(0, at)
}
