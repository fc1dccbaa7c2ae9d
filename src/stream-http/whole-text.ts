/**
 * How far a run of text events can be sent as frames (docs/protocol.md 14): events are bytes and may end in the middle of a
 * character; frames are text and cannot.
 */
import type { EventBlock } from "../domain/types.ts"
import { createdAtTail } from "../domain/types.ts"

/** Whether the last event is sure to end with a whole character: it is stored as a string, so it is UTF-8. */
export const endsWhole = ({ bytes, count, ends }: EventBlock): boolean =>
  bytes[ends[count - 1]! - createdAtTail.length - 1] === 0x22

/**
 * Counts the pieces, from the first one on, that make a text which does not end in the middle of a character. Only the last
 * three bytes can begin a character that later bytes complete. A next byte that does not continue the character breaks it
 * for good, and then there is nothing to wait for.
 */
export const wholePieces = (pieces: ReadonlyArray<Uint8Array>): number => {
  let count = pieces.length
  while (count > 0) {
    const begins = openCharacter(pieces, count)
    if (begins === undefined || isBroken(pieces, count)) return count
    count = begins
  }
  return 0
}

const characterBytesMax = 4

/** Finds the piece that begins an incomplete character at the end of the first `count` pieces; undefined when it is whole. */
const openCharacter = (pieces: ReadonlyArray<Uint8Array>, count: number): number | undefined => {
  let back = 0
  for (let piece = count - 1; piece >= 0; piece--) {
    const bytes = pieces[piece]!
    for (let at = bytes.length - 1; at >= 0; at--) {
      if (++back === characterBytesMax) return undefined
      if (!isContinuation(bytes[at]!)) return lengthOf(bytes[at]!) > back ? piece : undefined
    }
  }
  return undefined
}

/** Whether the pieces behind the first `count` begin with a byte that does not continue a character. */
const isBroken = (pieces: ReadonlyArray<Uint8Array>, count: number): boolean => {
  for (let piece = count; piece < pieces.length; piece++) {
    const first = pieces[piece]![0]
    if (first !== undefined) return !isContinuation(first)
  }
  return false
}

/** 10xxxxxx continues a character. */
const isContinuation = (byte: number): boolean => byte >> 6 === 0b10

/** The first byte of a character says how many bytes it has. */
const lengthOf = (byte: number): number =>
  byte >> 5 === 0b110 ? 2 : byte >> 4 === 0b1110 ? 3 : byte >> 3 === 0b11110 ? 4 : 1
