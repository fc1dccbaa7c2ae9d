/**
 * Encodes and decodes the records of a journal area (docs/storage-format.md 10). Pure: it opens no file.
 */
import { toOffset } from "../../domain/types.ts"
import type { Allocate } from "./record-codec.ts"
import { crcDigits, hex, lineFeed, runningCrc } from "./record-codec.ts"

/** One commit of one log, as it was written to the log's file. */
export interface JournalRecord {
  /** The name of the log's file, without the suffix that it has while the log is hidden. */
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
  /** The running sum behind these bytes. */
  readonly crc: number
}

/** The first line of an area. */
export const encodeAreaHeader = (generation: number): EncodedArea => {
  const text = `{"journal":1,"generation":"${toOffset(generation)}","crc":"`
  const crc = runningCrc(Buffer.from(text), 0, text.length, 0)
  return { bytes: Buffer.from(`${text}${hex(crc)}"}\n`), crc }
}

/** A round of records that continues the sum `crc`. */
export const encodeRound = (
  records: ReadonlyArray<JournalRecord>,
  crc: number,
  allocate: Allocate = Buffer.allocUnsafe
): EncodedArea => {
  const lines: Array<string> = []
  let size = roundLead
  for (const { bytes, log, position } of records) {
    const line = `{"log":"${log}","position":${position},"bytes":${bytes.length}}\n`
    lines.push(line)
    size += line.length + bytes.length
  }
  const target = allocate(size)
  let at = roundLead
  for (const [i, { bytes }] of records.entries()) {
    at += target.write(lines[i]!, at, "latin1")
    target.set(bytes, at)
    at += bytes.length
  }
  target.write(`{"crc":"00000000","bytes":"${toOffset(size - roundLead)}"}\n`, 0, "latin1")
  const sum = runningCrc(target, crcAt + crcDigits, size, crc)
  target.write(hex(sum), crcAt, "latin1")
  return { bytes: target, crc: sum }
}

/** The records of an area, up to the first round that does not fit; undefined if the area was never used. */
export const decodeArea = (area: Buffer): Area | undefined => {
  const headerEnd = area.indexOf(lineFeed) + 1
  const header = areaLine.exec(area.toString("latin1", 0, headerEnd))
  if (header === null) return undefined
  let sum = runningCrc(area, 0, headerEnd - `00000000"}\n`.length, 0)
  if (hex(sum) !== header[2]) return undefined
  const records: Array<JournalRecord> = []
  for (let start = headerEnd;;) {
    const round = roundLine.exec(area.toString("latin1", start, start + roundLead))
    if (round === null) break
    const end = start + roundLead + Number(round[2])
    if (end > area.length) break
    sum = runningCrc(area, start + crcAt + crcDigits, end, sum)
    if (hex(sum) !== round[1]) break
    for (let at = start + roundLead; at < end;) {
      const lineEnd = area.indexOf(lineFeed, at) + 1
      const [, log = "", position, length] = recordLine.exec(area.toString("latin1", at, lineEnd)) ?? []
      at = lineEnd + Number(length)
      records.push({ log, position: Number(position), bytes: area.subarray(lineEnd, at) })
    }
    start = end
  }
  return { generation: Number(header[1]), records }
}

const crcAt = `{"crc":"`.length
const roundLead = `{"crc":"00000000","bytes":"0000000000000000"}\n`.length

const areaLine = /^\{"journal":1,"generation":"(\d{16})","crc":"([0-9a-f]{8})"\}\n$/
const roundLine = /^\{"crc":"([0-9a-f]{8})","bytes":"(\d{16})"\}\n$/
const recordLine = /^\{"log":"([^"\\]+)","position":(\d+),"bytes":(\d+)\}\n$/
