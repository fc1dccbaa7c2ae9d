/**
 * Batches of events as frames of Server-Sent Events (docs/protocol.md 14): one `data` event, and one `control` event that
 * says where the batch ends, in one piece.
 */
import type { EventBlock } from "../domain/types.ts"
import { isJson, mediaType, toOffset } from "../domain/types.ts"
import { consumeBlock, isShared } from "../event/event-block.ts"
import { asBuffer } from "../event/event-data.ts"
import type { Frames } from "../stream-http/following.ts"
import type { Fill } from "../stream-http/joined-events.ts"
import { dataPieces, fillNew, joinData } from "../stream-http/joined-events.ts"
import type { Place } from "./reading.ts"

/** The form of a stream's data in frames. */
export type Encoding = "json" | "text" | "base64"

export const encodingOf = (contentType: string): Encoding =>
  isJson(contentType) ? "json" : mediaType(contentType).startsWith("text/") ? "text" : "base64"

/** The content of the control event behind a batch. */
export interface Control extends Place {
  /** The offset behind the batch. */
  readonly next: number
  readonly cursor: number
}

/** The frames of a block, which is consumed unless other followers share it. */
export const dataFrames = (block: EventBlock, encoding: Encoding, control: Control, fill: Fill): Uint8Array =>
  isShared(block)
    ? sharedFrames(block, encoding, control).bytes
    : consumeBlock(block, (block) => blockFrames(block, encoding, control, fill))

/** The frames of a shared block. A thousand followers are woken one after the other and share one block, and so its frames. */
export const sharedFrames = (block: EventBlock, encoding: Encoding, control: Control): Frames => {
  const { cursor, isEnd, isTail } = newest.control
  if (block !== newest.block || cursor !== control.cursor || isEnd !== control.isEnd || isTail !== control.isTail) {
    const frames = { bytes: blockFrames(block, encoding, control, fillNew), isEnd: control.isEnd }
    newest = { block, control, frames }
  }
  return newest.frames
}

/** The frames of text that was held back, or that ends inside a block. */
export const textFrames = (text: Uint8Array, control: Control): Uint8Array => {
  const { after, before } = frameParts(control)
  return dataLines(utf8Of(asBuffer(text)), before, after)
}

/** A control event: where the follower is, and whether more exists or can come. */
export const controlFrame = ({ cursor, isEnd, isTail, next }: Control): string => {
  const flags = isEnd ? `,"upToDate":true,"streamClosed":true` : `,"streamCursor":"${cursor}"${tailFlag(isTail)}`
  const offset = toOffset(next)
  return `id: ${offset}\nevent: control\ndata:{"streamNextOffset":"${offset}"${flags}}\n\n`
}

const tailFlag = (isTail: boolean) => isTail ? `,"upToDate":true` : ""

const blockFrames = (block: EventBlock, encoding: Encoding, control: Control, fill: Fill): Uint8Array => {
  if (encoding === "text") return textFrames(Buffer.concat(dataPieces(block)), control)
  const { after, before } = frameParts(control)
  return encoding === "json"
    ? joinData([block], { before: `${before}data:[`, between: ",", after: `]${after}` }, fill)
    : Buffer.from(`${before}data:${Buffer.concat(dataPieces(block)).toString("base64")}${after}`, "latin1")
}

/** The text before and behind the lines of a batch's data. */
const frameParts = (control: Control) => ({
  before: `id: ${toOffset(control.next)}\nevent: data\n`,
  after: `\n\n${controlFrame(control)}`
})

/**
 * Writes each line of a text, however it ends, as a `data` line (WHATWG HTML 9.2.6). A follower drops one space behind the
 * colon, so a line that begins with a space gets another one.
 */
const dataLines = (text: Buffer, before: string, after: string): Uint8Array => {
  // A text of nothing but line breaks becomes six times as long, so no line of it becomes a string of its own.
  let size = before.length + after.length + text.length + lineLead.length + 1
  for (let at = 0; at < text.length; at++) if (isBreak(text[at]!)) size += lineLead.length + 1
  const target = Buffer.allocUnsafe(size)
  let to = target.write(before, "latin1")
  for (let start = 0; start <= text.length;) {
    let end = start
    while (end < text.length && !isBreak(text[end]!)) end++
    if (start > 0) target[to++] = lineFeed
    for (let i = 0; i < lineLead.length; i++) target[to++] = lineLead[i]!
    if (text[start] === space) target[to++] = space
    // Most lines are short, and a call for each would cost more than copying its bytes.
    if (end - start > 64) to += text.copy(target, to, start, end)
    else for (let at = start; at < end; at++) target[to++] = text[at]!
    start = end + (text[end] === carriageReturn && text[end + 1] === lineFeed ? 2 : 1)
  }
  to += target.write(after, to, "latin1")
  return target.subarray(0, to)
}

/** Bytes that are not UTF-8 are sent as the characters that a follower would read in their place. */
const utf8Of = (text: Buffer): Buffer => {
  const decoded = text.toString()
  return decoded.includes("\ufffd") ? Buffer.from(decoded) : text
}

const isBreak = (byte: number): boolean => byte === lineFeed || byte === carriageReturn

const lineLead = Buffer.from("data:")
const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20

/** One place is enough: the followers that share a block ask in a row. */
let newest: { readonly block: EventBlock | undefined; readonly control: Control; readonly frames: Frames } = {
  block: undefined,
  control: { next: 0, cursor: 0, isTail: false, isEnd: false },
  frames: { bytes: new Uint8Array(0), isEnd: false }
}
