/**
 * Whole events as frames of Server-Sent Events. Bytes are copied by position and nothing is parsed (promise 8).
 */
import type { EventBlock } from "../domain/types.ts"
import { offsetDigits, offsetStart } from "../domain/types.ts"
import { asBuffer } from "../event/event-data.ts"
import type { Frames } from "./following.ts"
import type { Fill } from "./joined-events.ts"
import { fillNew } from "./joined-events.ts"

/** `id: <offset>`, `data: <event>` and an empty line for each event (WHATWG HTML 9.2). Returns a copy. */
export const eventFrames = (block: EventBlock, fill: Fill): Uint8Array =>
  fill(framesBytes(block), (target) => writeFrames(block, target))

/** Returns the frames of a block that many followers share: they share the frames, too. */
export const sharedEventFrames = (block: EventBlock): Frames => {
  if (block !== newest.block) newest = { block, frames: { bytes: eventFrames(block, fillNew), isEnd: false } }
  return newest.frames
}

/** The most bytes that the frames of a block can take. */
const framesBytes = ({ count, ends, starts }: EventBlock): number =>
  count === 0 ? 0 : ends[count - 1]! - starts[0]! + count * frameBytes

/** Everything in a frame but the event. */
const frameBytes = `id: ${"0".repeat(offsetDigits)}\ndata: \n\n`.length

const writeFrames = (block: EventBlock, target: Buffer): Uint8Array => {
  const source = asBuffer(block.bytes)
  const { count, ends, starts } = block
  // Several bytes at a time: one by one they cost as much as the event, and a call to copy so few costs more than it saves.
  const from = viewOf(source)
  const to = viewOf(target)
  let at = 0
  for (let i = 0; i < count; i++) {
    const start = starts[i]!
    const end = ends[i]!
    to.setUint32(at, 0x69643a20) // `id: `
    to.setBigUint64(at + 4, from.getBigUint64(start + offsetStart))
    to.setBigUint64(at + 12, from.getBigUint64(start + offsetStart + 8))
    to.setUint32(at + 20, 0x0a646174) // line feed, `dat`
    to.setUint32(at + 23, 0x74613a20) // `ta: `
    at += 27
    source.copy(target, at, start, end)
    at += end - start
    to.setUint16(at, 0x0a0a)
    at += 2
  }
  return target.subarray(0, at)
}

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

/**
 * A thousand followers are woken one after the other and share one block, and so its frames. One place is enough, and a
 * catch-up of a million events, which shares nothing, leaves nothing here for the garbage collector.
 */
let newest: { readonly block: EventBlock | undefined; readonly frames: Frames } = {
  block: undefined,
  frames: { bytes: new Uint8Array(0), isEnd: false }
}
