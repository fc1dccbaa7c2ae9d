/**
 * Blocks of events as what goes over the wire: frames of Server-Sent Events, items of a JSON array. Bytes are copied
 * by position and nothing is parsed (promise 8).
 */
import type { EventBlock } from "../domain/types.ts"
import { offsetDigits, offsetStart } from "../domain/types.ts"
import { asBuffer } from "../event/event-data.ts"

/** `id: <offset>`, `data: <event>` and an empty line for each event (WHATWG HTML 9.2). Shared by all who ask in a row. */
export const toSse = (block: EventBlock): Uint8Array => {
  if (block !== newest.block) newest = { block, frames: writeSse(block, Buffer.allocUnsafe(sseBytes(block))) }
  return newest.frames
}

/** The most bytes that the frames of a block can take. */
export const sseBytes = ({ count, ends, starts }: EventBlock): number =>
  count === 0 ? 0 : ends[count - 1]! - starts[0]! + count * frameBytes

/** The same as `toSse`, written to the front of `target`, which must have room for `sseBytes`. */
export const writeSse = (block: EventBlock, target: Buffer): Uint8Array => {
  const source = asBuffer(block.bytes)
  const { count, ends, starts } = block
  // Several bytes at a time: for so few a call costs more than it saves, and one by one they cost as much as the event.
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

/** Everything in a frame but the event. */
const frameBytes = `id: ${"0".repeat(offsetDigits)}\ndata: \n\n`.length

/**
 * A thousand followers are woken one after the other and share one block, and so its frames. One place is enough, and
 * a catch-up of a million events, which shares nothing, leaves nothing behind for the garbage collector to look after.
 */
let newest: { readonly block: EventBlock | undefined; readonly frames: Uint8Array } = {
  block: undefined,
  frames: new Uint8Array(0)
}

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
