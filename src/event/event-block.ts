/**
 * Blocks of events as bytes: laid out once when the writer appends, then sliced and joined by position. Only `parseEvent`
 * parses an event, for callers that need its value.
 */
import type { EventBlock, StreamEvent, StreamName } from "../domain/types.ts"
import { createdAtTail, offsetDigits, offsetStart } from "../domain/types.ts"
import type { EventData } from "./event-data.ts"
import { parseJson } from "./json-values.ts"

export const emptyBlock = (at: number): EventBlock => ({
  first: at,
  count: 0,
  bytes: new Uint8Array(0),
  starts: [],
  ends: []
})

/** The events of a block from `from` on, at most `countMax`. It shares the bytes: consume it or the block, not both. */
export const sliceBlock = (block: EventBlock, from: number, countMax = Infinity): EventBlock => {
  const skip = Math.max(0, from - block.first)
  const count = Math.max(0, Math.min(block.count - skip, countMax))
  if (skip === 0 && count === block.count) return block
  return {
    first: block.first + skip,
    count,
    bytes: block.bytes,
    starts: Array.prototype.slice.call(block.starts, skip, skip + count),
    ends: Array.prototype.slice.call(block.ends, skip, skip + count),
    release: block.release
  }
}

/**
 * Returns the result of `use` and gives the memory of the blocks back, so that other reads use it again. `use` must copy
 * the bytes that it keeps, and the caller must not read the blocks afterwards.
 */
export const consumeBlocks = <A>(
  blocks: ReadonlyArray<EventBlock>,
  use: (blocks: ReadonlyArray<EventBlock>) => A
): A => {
  const made = use(blocks)
  for (const block of blocks) block.release?.()
  return made
}

/** The same for one block. */
export const consumeBlock = <A>(block: EventBlock, use: (block: EventBlock) => A): A => {
  const made = use(block)
  block.release?.()
  return made
}

/** Whether other readers may hold the same block, so that its frames are worth keeping. */
export const isShared = ({ release }: EventBlock): boolean => release === undefined

/** The text of the `i`-th event of a block. */
export const eventText = (block: EventBlock, i: number): string =>
  decoder.decode(block.bytes.subarray(block.starts[i], block.ends[i]))

/**
 * Returns how many bytes of each event stand before its data, found by position: all events of a block have the same name.
 */
export const dataStart = ({ bytes, count, starts }: EventBlock): number => {
  if (count === 0) return 0
  const start = starts[0]!
  let at = start + offsetStart + offsetDigits + `","eventStreamId":"`.length
  while (bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1
  return at + `","data":`.length - start
}

/** The text of the data of the `i`-th event, as bytes. */
export const dataSlice = (block: EventBlock, i: number, lead = dataStart(block)): Uint8Array =>
  block.bytes.subarray(block.starts[i]! + lead, block.ends[i]! - createdAtTail.length)

const quote = 0x22
const backslash = 0x5c

/** The `i`-th event of a block, parsed. */
export const parseEvent = (block: EventBlock, i: number): StreamEvent => parseJson(eventText(block, i)) as StreamEvent

/** The bytes around the data of events that one stream gets at one moment. */
export interface Frame {
  /** From the end of one event's data to the beginning of the next one's; the offset's digits are zeros. */
  readonly between: Buffer
  /** How much of that belongs to the event before, its line feed included. */
  readonly back: number
}

export const toFrame = (name: StreamName, createdAt: string): Frame => {
  if (name !== newest.name || createdAt !== newest.createdAt) {
    const back = `,"createdAt":"${createdAt}"}\n`
    const front = `{"offset":"${"0".repeat(offsetDigits)}","eventStreamId":${JSON.stringify(name)},"data":`
    newest = { name, createdAt, frame: { between: Buffer.from(back + front), back: back.length } }
  }
  return newest.frame
}

/** A busy server makes many events of one stream a millisecond. */
let newest = { name: "" as StreamName, createdAt: "", frame: { between: Buffer.alloc(0), back: 0 } }

/**
 * From this size on a block has memory of its own. Smaller blocks lie in memory that Node shares out, which costs less; a
 * caller must not keep them for long, or it keeps all the memory around them.
 */
const ownBytesMin = 8 * 1024

/** Lays event data out as the block that begins at `first`, each event followed by a line feed. */
export const layOut = (first: number, data: ReadonlyArray<EventData>, { back, between }: Frame): EventBlock => {
  const count = data.length
  let size = count * between.length
  for (const event of data) size += event.byteLength
  const bytes = size < ownBytesMin ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size)
  const starts = new Array<number>(count)
  const ends = new Array<number>(count)
  const front = between.length - back
  let at = count === 0 ? 0 : between.copy(bytes, 0, back)
  for (let i = 0; i < count; i++) {
    const start = at - front
    starts[i] = start
    // Writes the digits from the last one on; those in front are zeros already.
    let digit = start + offsetStart + offsetDigits
    for (let rest = first + i; rest > 0;) {
      // Not `%`: V8 uses a floating-point remainder here, ten times slower.
      const tenth = Math.floor(rest / 10)
      bytes[--digit] = 0x30 + rest - 10 * tenth
      rest = tenth
    }
    at += data[i]!.copyTo(bytes, at)
    ends[i] = at + back - 1
    at += i === count - 1 ? between.copy(bytes, at, 0, back) : between.copy(bytes, at)
  }
  return { first, count, bytes, starts, ends }
}

/** Joins consecutive blocks into one: as many events as fit into `bytesMax`, but at least those of the first block. */
export const joinBlocks = (blocks: ReadonlyArray<EventBlock>, bytesMax: number): EventBlock => {
  let count = 0
  let size = 0
  let taken = 0
  for (const block of blocks) {
    const more = block.count === 0 ? 0 : block.ends[block.count - 1]! - block.starts[0]!
    if (taken > 0 && size + more > bytesMax) break
    size += more
    count += block.count
    taken++
  }
  if (taken === 1) return blocks[0]!
  const bytes = Buffer.allocUnsafeSlow(size)
  const starts = new Array<number>(count)
  const ends = new Array<number>(count)
  let at = 0
  let event = 0
  for (const block of blocks.slice(0, taken)) {
    if (block.count === 0) continue
    const from = block.starts[0]!
    const to = block.ends[block.count - 1]!
    bytes.set(block.bytes.subarray(from, to), at)
    for (let i = 0; i < block.count; i++) {
      starts[event] = block.starts[i]! - from + at
      ends[event++] = block.ends[i]! - from + at
    }
    at += to - from
  }
  return { first: blocks[0]!.first, count, bytes, starts, ends }
}

const decoder = new TextDecoder()
