/**
 * Events of text are bytes, and may end in the middle of a character; frames are text, and cannot. Here it is seen how
 * far a run of events can be sent (docs/protocol.md 14).
 */
import type { EventBlock } from "../durable-streams/types.ts"
import { createdAtTail } from "../durable-streams/types.ts"

/** Whether the last event is known to end with a whole character: it is kept as a string, so it is UTF-8. */
export const endsWhole = ({ bytes, count, ends }: EventBlock): boolean =>
  bytes[ends[count - 1]! - createdAtTail.length - 1] === 0x22

/** How many of the pieces, from the first one on, make a text that does not end in the middle of a character. */
export const wholePieces = (pieces: ReadonlyArray<Uint8Array>): number => {
  for (let count = pieces.length; count > 0; count--) {
    if (!endsInside(Buffer.concat(pieces.slice(Math.max(0, count - characterBytesMax), count)))) return count
  }
  return 0
}

const characterBytesMax = 4

const endsInside = (text: Uint8Array): boolean => {
  for (let back = 1; back < characterBytesMax && back <= text.length; back++) {
    const byte = text[text.length - back]!
    // 10xxxxxx goes on with a character; what begins one says of how many bytes it is.
    if (byte >> 6 === 0b10) continue
    return (byte >> 5 === 0b110 ? 2 : byte >> 4 === 0b1110 ? 3 : byte >> 3 === 0b11110 ? 4 : 1) > back
  }
  return false
}
