/**
 * The events of a reading as the body of an answer (docs/protocol.md 12): the messages of a JSON stream as one array, or
 * the bytes of any other stream behind each other.
 */
import { isJson } from "../domain/types.ts"
import { dataPieces, fillNew, joinData } from "../stream-http/joined-events.ts"
import type { RenderPiece } from "../stream-http/range.ts"
import { range, streamRange } from "../stream-http/range.ts"
import type { Reading } from "./reading.ts"

/** About how much is written at a time: an answer that is not larger has a length, and is one write. A slow reader holds as much. */
const pieceBytes = 512 * 1024

/** The events from the reading's start up to `end`, which must exist. Fails when the first piece cannot be read. */
export const rangeBody = ({ description, start, stream }: Reading, end: number) =>
  range(streamRange(stream, start, end), renderAs(description.contentType), pieceBytes)

/** The body of an answer without events. */
export const emptyBody = (contentType: string): Uint8Array =>
  renderAs(contentType)([], { isFirst: true, isLast: true, fill: fillNew })

const renderAs = (contentType: string): RenderPiece => isJson(contentType) ? renderMessages : renderBytes

const renderMessages: RenderPiece = (blocks, { fill, isFirst, isLast }) =>
  joinData(blocks, { before: isFirst ? "[" : ",", between: ",", after: isLast ? "]" : "" }, fill)

const renderBytes: RenderPiece = (blocks) => Buffer.concat(blocks.flatMap(dataPieces))
