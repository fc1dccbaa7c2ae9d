/**
 * Lines and commits, byte by byte (docs/storage-format.md 3 and 4).
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as fs from "node:fs"
import { crc32 } from "node:zlib"
import { encodeAreaHeader, encodeRound } from "../../src/storage-filesystem/format/journal-codec.ts"
import type { StateEntry } from "../../src/storage-filesystem/format/record-codec.ts"
import {
  crcToEnd,
  decodeHeader,
  encodeCommit,
  encodeNewLog,
  isEventLine,
  lineOffset,
  runningCrc,
  toBlock,
  trailerLength,
  trailerState,
  writtenCrc
} from "../../src/storage-filesystem/format/record-codec.ts"
import { tried } from "../support/properties.ts"
import { blockOfLines, commitOf, described, named, shown, textsOf } from "../support/storage-fixtures.ts"

const page = fs.readFileSync(new URL("../../docs/storage-format.md", import.meta.url), "utf8")

/**
 * The examples of the page: a header, an event and a state line, in the order in which a log has them; a journal's
 * area.
 */
const examples = [...page.matchAll(/^```\n([^`]*?\n)```$/gm)].map(([, lines]) => lines!)

const createdAt = "2024-01-08T00:00:00.000Z"
const description = { name: named("my-stream"), contentType: "application/json", createdAt, id: "9f86d081884c7d65" }
const event =
  `{"offset":"0000000000000000","eventStreamId":"my-stream","data":{"type":"message","text":"hello"},"createdAt":"${createdAt}"}`

describe("The page on the storage format", () => {
  const events = blockOfLines(0, [event])
  const log = encodeNewLog(description, { events, state: [] })
  const [headerLine, eventLine] = Buffer.from(log.bytes).toString().split("\n").map((line) => `${line}\n`)

  it("shows the header, the event and the state line that the codec writes", () => {
    const closing = encodeCommit(blockOfLines(1, []), { text: `{"closed":true}`, back: 0 }, log.crc)
    const lines = [headerLine!, eventLine!, Buffer.from(closing.bytes).toString()]
    assert.deepStrictEqual(lines, examples.slice(0, 3))
  })

  it("shows that event as a journal holds it", () => {
    const area = encodeAreaHeader(1)
    const commit = { log: "my-stream.json", position: headerLine!.length, bytes: Buffer.from(eventLine!) }
    assert.deepStrictEqual(
      [`${area.bytes.toString()}${encodeRound([commit], area.crc).bytes.toString()}`],
      examples.slice(3)
    )
  })

  it("places the offset's digits at bytes 11 to 26, createdAt last, and the trailer in the last 30 bytes", () => {
    assert.strictEqual(eventLine!.slice(11, 27), "0000000000000000")
    assert.strictEqual(eventLine!.slice(0, -30), event.slice(0, -1))
    assert.match(eventLine!.slice(-30), /^,"commit":\{"crc":"[0-9a-f]{8}"\}\}\n$/)
  })

  it("says that a trailer's size counts the bytes from before \"commit\" up to and including the line feed", () => {
    for (const events of [blockOfLines(1, []), commitOf("my-stream", 1, ["1"]).events]) {
      const line = Buffer.from(encodeCommit(events, { text: `{"closed":true,"ü":1}`, back: 7 }, 0).bytes)
      const size = Number(line.subarray(-29, -21).toString())
      assert.match(line.subarray(-size).toString(), /^[{,]"commit":\{"state":/)
    }
  })

  it("gives a size 8 digits: a state that fits is read back, and a larger state is not written", () => {
    const { events } = commitOf("my-stream", 1, ["1"])
    const around = Buffer.from(encodeCommit(events, { text: stateWith(0), back: 7 }, 0).bytes)
    const most = 99_999_999 - Number(around.subarray(-29, -21).toString())
    const { bytes } = encodeCommit(events, { text: stateWith(most), back: 7 }, 0)
    assert.strictEqual(Buffer.from(bytes).subarray(-29, -21).toString(), "99999999")
    assert.strictEqual(trailerState(bytes, 0, bytes.length)?.text?.length, stateWith(most).length)
    assert.throws(() => encodeCommit(events, { text: stateWith(most + 1), back: 7 }, 0), "99999999 bytes")
  })

  it("says that a checksum covers the file from its first byte to the digits of the checksum", () => {
    const second = encodeCommit(commitOf("my-stream", 1, ["1", "2"]).events, undefined, log.crc)
    const file = Buffer.concat([log.bytes, second.bytes])
    for (let end = file.indexOf("\n") + 1; end > 0; end = file.indexOf("\n", end) + 1) {
      if (!file.subarray(0, end).toString().endsWith(`"}}\n`)) continue
      const digits = file.subarray(end - crcToEnd, end - crcToEnd + 8).toString()
      assert.strictEqual(Number.parseInt(digits, 16), crc32(file.subarray(0, end - crcToEnd)))
    }
    assert.strictEqual(second.crc, crc32(file.subarray(0, file.length - crcToEnd)))
  })
})

/** A state with a key of this many bytes. */
const stateWith = (bytes: number) => `{"${"p".repeat(bytes)}":1}`

/** JSON texts as clients send them; some of them look like the ends of our lines. */
const texts = [
  `1`,
  `""`,
  `"}}"`,
  `"\\"}}"`,
  `{"commit":{"crc":"00000000"}}`,
  `[{"crc":"ffffffff"}]`,
  `"ü漢🎈"`,
  `null`,
  `{ "a" :\t1 }`,
  `"createdAt\\":\\"2024"`,
  `{"createdAt":"${createdAt}"}`,
  `"${"long ".repeat(50)}"`,
  `12345678901234567890`,
  `"\u2028"`
] as const
const Text = Schema.Literals(texts)
const Commits = Schema.NonEmptyArray(Schema.Struct({
  data: Schema.Array(Text),
  state: Schema.UndefinedOr(
    Schema.Literals([`{"closed":true}`, `{}`, `{"p":{"ü":"\\"}}"}}`, `{"}}":"}}","back":null}`])
  )
}))
const Name = Schema.Literals(["orders", "a/b", `"quoted"\\`, "漢字", "x".repeat(512)])

/** Events, some of them with a state line behind them; the first event's data is `gap`. */
const eventsAndStates = (gap: string) => {
  const bytes: Array<Uint8Array> = []
  let crc = 0
  for (
    const commit of [
      commitOf("a", 0, [`"${gap}"`]),
      commitOf("a", 1, ["1"]),
      commitOf("a", 2, []),
      commitOf("a", 2, ["2"]),
      commitOf("a", 3, []),
      commitOf("a", 3, ["3"])
    ]
  ) {
    const encoded = encodeCommit(commit.events, commit.events.count === 0 ? { text: "{}", back: 1 } : undefined, crc)
    bytes.push(encoded.bytes)
    crc = encoded.crc
  }
  return { lengths: bytes.map(({ length }) => length), bytes: Buffer.concat(bytes) }
}

describe("A commit", () => {
  it.prop(
    "is read back as it was written: its events, their data as it was sent, its state, and the checksum goes on",
    [Name, Commits],
    ([name, sent]) => {
      let tail = 0
      const commits = sent.map(({ data, state }, i) => {
        const { events } = commitOf(name, tail, data)
        tail += data.length
        return { events, state: data.length === 0 ? { text: state, back: i } : state && { text: state, back: i } }
      })
      const first = encodeNewLog(described(name), { events: commits[0]!.events, state: [] })
      commits[0]!.state = undefined
      const parts = [Buffer.from(first.bytes)]
      let { crc } = first
      for (const { events, state } of commits.slice(1)) {
        const encoded = encodeCommit(events, state, crc)
        parts.push(Buffer.from(encoded.bytes))
        crc = encoded.crc
      }
      const file = Buffer.concat(parts)
      const headerEnd = file.indexOf("\n") + 1
      assert.deepStrictEqual(decodeHeader(file.toString("utf8", 0, headerEnd - 1)), described(name))

      const states: Array<StateEntry | undefined> = []
      const offsets: Array<number> = []
      for (
        let start = headerEnd, from = headerEnd - crcToEnd, sum = writtenCrc(file, headerEnd);
        start < file.length;
      ) {
        const end = file.indexOf("\n", start) + 1
        JSON.parse(file.toString("utf8", start, end))
        if (isEventLine(file, start)) offsets.push(lineOffset(file, start))
        if (trailerLength(file, start, end) > 0) {
          const digits = end - crcToEnd
          assert.strictEqual(writtenCrc(file, end), runningCrc(file, from, digits, sum))
          states.push(trailerState(file, start, end))
          sum = writtenCrc(file, end)
          from = digits
        }
        start = end
      }
      const nonEmpty = commits.filter(({ events, state }) => events.count > 0 || state !== undefined)
      assert.deepStrictEqual(states, nonEmpty.map(({ state }) => state))
      assert.deepStrictEqual(offsets, offsets.map((_, i) => i))
      const block = toBlock(Buffer.from(file.subarray(headerEnd)), 0, file.length - headerEnd, 0)
      assert.deepStrictEqual(textsOf(block), sent.flatMap(({ data }) => data).map((text, i) => shown(name, i, text)))
    },
    tried(300)
  )

  it("is told from its neighbours, even if a short one and a state line are as long as the one before", () => {
    const [first, short, state] = eventsAndStates("").lengths as [number, number, number]
    const gap = "x".repeat(short + state - first)
    const { bytes, lengths } = eventsAndStates(gap)
    assert.strictEqual(lengths[0], lengths[1]! + lengths[2]!)
    const texts = [`"${gap}"`, "1", "2", "3"].map((text, i) => shown("a", i, text))
    assert.deepStrictEqual(textsOf(toBlock(bytes, 0, bytes.length, 0)), texts)
  })

  it.prop("has the right number of trailers, whatever its data looks like", [Text], ([text]) => {
    const line = Buffer.from(encodeCommit(commitOf("s", 0, [text, text]).events, undefined, 0).bytes)
    const second = line.indexOf("\n") + 1
    assert.strictEqual(trailerLength(line, 0, second), 0)
    assert.strictEqual(trailerLength(line, second, line.length), 30)
  })
})

describe("The first line of a log", () => {
  it.each([
    ``,
    `{}`,
    `null`,
    `[]`,
    `{"format":2,"eventStreamId":"a","contentType":"b","createdAt":"c"}`,
    `{"format":1}`
  ])(
    "is never %s",
    (line) => assert.isUndefined(decodeHeader(line))
  )
})
