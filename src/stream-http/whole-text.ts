/**
 * Events of text are bytes, and may end in the middle of a character; frames are text, and cannot. Here it is seen how
 * far a run of events can be sent (docs/protocol.md 14).
 */
import type { EventBlock } from "../domain/types.ts"
import { createdAtTail } from "../domain/types.ts"

/** Whether the last event is known to end with a whole character: it is kept as a string, so it is UTF-8. */
export const endsWhole = ({ bytes, count, ends }: EventBlock): boolean =>
  bytes[ends[count - 1]! - createdAtTail.length - 1] === 0x22

/**
 * How many of the pieces, from the first one on, make a text that does not end in the middle of a character. Only the last
 * three bytes can begin a character that is still to be completed: a byte behind them that does not go on with it has
 * decided that nothing will.
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

/** The piece that begins the character in whose middle the first `count` pieces end; undefined if they end with a whole one. */
const openCharacter = (pieces: ReadonlyArray<Uint8Array>, count: number): number | undefined => {
  let back = 0
  for (let piece = count - 1; piece >= 0; piece--) {
    const bytes = pieces[piece]!
    for (let at = bytes.length - 1; at >= 0; at--) {
      if (++back === characterBytesMax) return undefined
      if (!goesOn(bytes[at]!)) return lengthOf(bytes[at]!) > back ? piece : undefined
    }
  }
  return undefined
}

/** Whether the pieces behind the first `count` begin with something that does not go on with a character. */
const isBroken = (pieces: ReadonlyArray<Uint8Array>, count: number): boolean => {
  for (let piece = count; piece < pieces.length; piece++) {
    const first = pieces[piece]![0]
    if (first !== undefined) return !goesOn(first)
  }
  return false
}

/** 10xxxxxx goes on with a character. */
const goesOn = (byte: number): boolean => byte >> 6 === 0b10

/** What begins a character says of how many bytes it is. */
const lengthOf = (byte: number): number =>
  byte >> 5 === 0b110 ? 2 : byte >> 4 === 0b1110 ? 3 : byte >> 3 === 0b11110 ? 4 : 1
