/**
 * Bytes of a journal area to and from records (docs/storage-format.md 10). Pure: no file in sight.
 */
import { offsetDigits, toOffset } from "../durable-streams/types.ts"
import { hex, lineFeed, runningCrc } from "./record-codec.ts"

/** One commit of one log, as it was written to the log's file. */
export interface JournalRecord {
  /** The name of the log's file, without what is added to it while the log is hidden. */
  readonly log: string
  /** Where the commit begins in that file. */
  readonly position: number
  /** Whole lines, of which the last one has the trailer. */
  readonly bytes: Uint8Array
}

export interface Area {
  readonly generation: number
  readonly records: ReadonlyArray<JournalRecord>
}

export interface EncodedArea {
  readonly bytes: Buffer
  /** The running sum behind them. */
  readonly crc: number
}

/** The first line of an area. */
export const encodeAreaHeader = (generation: number): EncodedArea => {
  const text = `{"journal":1,"generation":"${toOffset(generation)}","crc":"`
  const crc = runningCrc(Buffer.from(text), 0, text.length, 0)
  return { bytes: Buffer.from(`${text}${hex(crc)}"}\n`), crc }
}

/** Records that follow the sum `crc`. */
export const encodeRecords = (records: ReadonlyArray<JournalRecord>, crc: number): EncodedArea => {
  let size = 0
  for (const { bytes, log } of records) size += log.length + recordOverhead + bytes.length
  const target = Buffer.allocUnsafe(size)
  let at = 0
  let sum = crc
  for (const { bytes, log, position } of records) {
    const start = at
    const line = `{"log":"${log}","position":"${toOffset(position)}","bytes":"${toOffset(bytes.length)}","crc":"`
    at += target.write(line, at, "latin1")
    const digits = at
    at += recordEnd
    target.set(bytes, at)
    // The line up to the digits, then the commit itself.
    sum = runningCrc(target, at, at + bytes.length, runningCrc(target, start, digits, sum))
    target.write(`${hex(sum)}"}\n`, digits, "latin1")
    at += bytes.length
  }
  return { bytes: target, crc: sum }
}

/** What an area holds, up to the first record that does not fit; undefined when it has never been used. */
export const decodeArea = (area: Buffer): Area | undefined => {
  const headerEnd = area.indexOf(lineFeed) + 1
  const header = headerEnd === 0 ? null : areaLine.exec(area.toString("latin1", 0, headerEnd))
  if (header === null) return undefined
  let sum = runningCrc(area, 0, headerEnd - recordEnd, 0)
  if (hex(sum) !== header[2]) return undefined
  const records: Array<JournalRecord> = []
  for (let start = headerEnd; start < area.length;) {
    const end = area.indexOf(lineFeed, start) + 1
    const line = end === 0 || end - start > lineBytesMax ? null : recordLine.exec(area.toString("latin1", start, end))
    if (line === null) break
    const [, log = "", position, length, crc] = line
    const bytes = area.subarray(end, end + Number(length))
    sum = runningCrc(bytes, 0, bytes.length, runningCrc(area, start, end - recordEnd, sum))
    if (hex(sum) !== crc) break
    records.push({ log, position: Number(position), bytes })
    start = end + bytes.length
  }
  return { generation: Number(header[1]), records }
}

/** The digits of a sum and the end of its line. */
const recordEnd = `00000000"}\n`.length
const recordOverhead = `{"log":"","position":"","bytes":"","crc":"`.length + 2 * offsetDigits + recordEnd

/** A file name has 255 bytes at the most. */
const lineBytesMax = 255 + recordOverhead

const areaLine = /^\{"journal":1,"generation":"(\d{16})","crc":"([0-9a-f]{8})"\}\n$/
const recordLine = /^\{"log":"([^"\\]+)","position":"(\d{16})","bytes":"(\d{16})","crc":"([0-9a-f]{8})"\}\n$/
