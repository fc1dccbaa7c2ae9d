/**
 * Promise 8 at the door: the server checks the JSON text of `data` and keeps it as it was sent.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { InvalidRequest } from "../../src/domain/errors.ts"
import { sliceEvent, toOffset } from "../../src/domain/types.ts"
import { EventData } from "../../src/event/event-data.ts"
import { memberRange } from "../../src/event/json-scan.ts"
import { fromJsonBody, fromMessages, fromNdjsonBody } from "../../src/stream-http/append-body.ts"
import { tried } from "../support/properties.ts"
import { shown } from "../support/storage-fixtures.ts"

const bytes = (text: string) => new TextEncoder().encode(text)

const Space = Schema.Literals(["", " ", "\t", "\n", "\r\n", "  \n\t "])
const Key = Schema.Literals([
  "a",
  "dat",
  "data2",
  "Data",
  "",
  "da\\\\ta",
  "\\\"data\\\"",
  "__proto__",
  "d\\u00e4ta",
  "x\\\\"
])
const DataKey = Schema.Literals(["data", "d\\u0061ta", "\\u0064\\u0061\\u0074\\u0061"])
/** JSON texts that a serializer would not write. */
const Odd = Schema.Literals([
  ...[
    `1.0`,
    `-0`,
    `1E+2`,
    `12345678901234567890`,
    `"\\u0041\\/"`,
    `"a\\\\"`,
    `"\\\\\\""`,
    `"}"`,
    `"{\\"data\\":1}"`,
    `" , "`
  ] as const,
  ...[
    `{"data":{"data":[1,{"data":2}]}}`,
    `{"b":1,"a":2,"b":3}`,
    `[ 1 , [ ] , { } ]`,
    `"\\ud800"`,
    `"漢🎈"`,
    `true`,
    `null`
  ] as const
])
const Value = Schema.Union([Odd, Schema.Json])
const textOf = (value: unknown): string =>
  typeof value === "string" && Schema.is(Odd)(value) ? value : JSON.stringify(value)
const onOneLine = (text: string) => text.replace(/[\r\n]/g, " ")

describe("Promise 8: the body of an append", () => {
  it.effect.prop(
    "gives the text of data as it was sent, whatever stands around it and however its key is written",
    [Space, Schema.Array(Schema.Tuple([Key, Value])), DataKey, Value, Schema.Array(Schema.Tuple([Key, Value]))],
    ([space, before, dataKey, value, after]) =>
      Effect.gen(function*() {
        const data = textOf(value)
        const members = [
          ...before.map(([key, other]) => [key, textOf(other)]),
          [dataKey, data],
          ...after.map(([key, other]) => [key, textOf(other)])
        ].map(([key, text]) => `${space}"${key}"${space}:${space}${text}${space}`)
        const body = `${space}{${members.join(",")}}${space}`
        const range = memberRange(bytes(body), "data")
        assert.isArray(range)
        assert.strictEqual(Buffer.from(bytes(body).subarray(...range as [number, number])).toString(), data)
        const [event, ...more] = yield* fromJsonBody(bytes(body))
        assert.deepStrictEqual(more, [])
        assert.strictEqual(event!.text, data)
        assert.deepStrictEqual(event!.value, JSON.parse(data))
      }),
    tried(400)
  )

  it.effect.prop(
    "with data twice keeps the last, as a parser does",
    [Value, Value, Space],
    ([one, other, space]) =>
      Effect.gen(function*() {
        const body = `{"data":${textOf(one)}${space},${space}"d\\u0061ta":${textOf(other)}}`
        const [event] = yield* fromJsonBody(bytes(body))
        assert.strictEqual(event!.text, textOf(other))
        assert.deepStrictEqual(event!.value, (JSON.parse(body) as { data: unknown }).data)
      })
  )

  it.effect.prop(
    "with whitespace inside data keeps it, line breaks as spaces",
    [Space, Value],
    ([space, value]) =>
      Effect.gen(function*() {
        const data = `{${space}"a"${space}:${space}[${space}${textOf(value)}${space},${space}"\\n"${space}]${space}}`
        const [event] = yield* fromJsonBody(bytes(`{"data":${data}}`))
        assert.strictEqual(event!.text, onOneLine(data))
      })
  )

  const refused: ReadonlyArray<readonly [body: string, says: RegExp]> = [
    ["", /not JSON/],
    ["{", /not JSON/],
    ["{}", /"data"/],
    ["[]", /"data"/],
    ["null", /"data"/],
    [`"data"`, /"data"/],
    [`{"Data":1}`, /"data"/],
    [`{"__proto__":{"data":1}}`, /"data"/],
    [`{"data":1}{"data":2}`, /not JSON/],
    [`{"data":undefined}`, /not JSON/],
    [`{"data":NaN}`, /not JSON: "N" cannot stand at byte 9\.$/],
    [`\uFEFF\uFEFF{"data":1}`, /not JSON: U\+FEFF cannot stand at byte 1\.$/],
    [`{"data":\n "é`, /not JSON: it ends too early\.$/],
    [`{"data":\n\n  é}`, /not JSON: "é" cannot stand in line 3 at byte 3\.$/],
    [`{"data":1,}`, /not JSON: "}" cannot stand at byte 11\.$/],
    [`{"data":01}`, /not JSON: "1" cannot stand at byte 10\.$/],
    [`{"data":"\t"}`, /not JSON: U\+0009 cannot stand at byte 10\.$/]
  ]
  it.effect.each(refused)("of %j is refused, with the reason", ([body, says]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(fromJsonBody(bytes(body)))
      assert.instanceOf(error, InvalidRequest)
      assert.match(error.message, says)
    }))

  it.effect("with a byte order mark in front is taken, and the mark is not kept", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(texts(yield* fromJsonBody(bytes(`\uFEFF {"data":"\uFEFF1"}`))), [`"\uFEFF1"`])
      assert.deepStrictEqual(texts(yield* fromNdjsonBody(bytes(`\uFEFF1\n2\n`))), ["1", "2"])
      assert.deepStrictEqual(texts(yield* fromMessages(bytes(`\uFEFF[1,2]`))), ["1", "2"])
      assert.deepStrictEqual(texts(yield* fromMessages(bytes(`\uFEFF3`))), ["3"])
      assert.match((yield* Effect.flip(fromNdjsonBody(bytes("1\n\uFEFF2")))).message, /^Line 2 .* U\+FEFF .* byte 1\.$/)
      assert.match((yield* Effect.flip(fromNdjsonBody(bytes("\uFEFF")))).message, /no event/)
    }))

  it.effect("that is not UTF-8 is refused, with that reason", () =>
    Effect.gen(function*() {
      const body = Uint8Array.from([...bytes(`{"data":"`), 0xff, 0xfe, ...bytes(`"}`)])
      assert.match((yield* Effect.flip(fromJsonBody(body))).message, /UTF-8/)
      assert.match((yield* Effect.flip(fromNdjsonBody(body))).message, /UTF-8/)
    }))
})

describe("Promise 8: a body of one event a line", () => {
  it.effect.prop("gives every line's text as it was sent", [
    Schema.Array(Value),
    Schema.Literals(["\n", "\r\n", "\n\n", " \n\t"])
  ], ([values, end]) =>
    Effect.gen(function*() {
      const lines = values.map(textOf)
      if (lines.length === 0) return
      const events = yield* fromNdjsonBody(bytes(lines.join(end) + end))
      assert.deepStrictEqual(events.map(({ text }) => text), lines)
      const unended = yield* fromNdjsonBody(bytes(lines.join(end)))
      assert.deepStrictEqual(unended.map(({ text }) => text), lines)
    }))

  it.effect("is refused whole for one bad line, which the refusal names", () =>
    Effect.gen(function*() {
      assert.match((yield* Effect.flip(fromNdjsonBody(bytes(`1\n\n2\n{\n3`)))).message, /^Line 4 is not JSON/)
    }))

  it.each(["\n", "\r\n", " \n", `${" ".repeat(63)}\n`])(
    "costs no more for lines with nothing but space in them than for lines with an event: %j",
    (line) => {
      const full = `1${" ".repeat(62)}\n`
      // A scan of all bytes for each line would cost a hundred times as much.
      assert.isBelow(millis(line, 2 ** 16), 10 * millis(full, 2 ** 16) + 1)
      assert.isBelow(millis(line, 2 ** 20), 10 * millis(full, 2 ** 20) + 1)
    }
  )

  it.effect.each(["", "\n", " \r\n\t\n"])("is refused if it holds nothing: %j", (body) =>
    Effect.gen(function*() {
      assert.match((yield* Effect.flip(fromNdjsonBody(bytes(body)))).message, /no event/)
    }))
})

const texts = (data: ReadonlyArray<EventData>) => data.map(({ text }) => text)

/** The shortest of some runs over this many bytes of one repeated line. */
const millis = (line: string, bytesMax: number): number => {
  const body = bytes(`${line.repeat(bytesMax / line.length)}1\n`)
  return Math.min(...Array.from({ length: 3 }, () => {
    const from = performance.now()
    assert.isTrue(Exit.isSuccess(fromNdjsonBody(body)))
    return performance.now() - from
  }))
}

describe("An event's data", () => {
  it.prop("from a value is that value's JSON", [Schema.Json], ([value]) => {
    const data = EventData.fromValue(value)
    assert.strictEqual(data.text, JSON.stringify(value))
    assert.deepStrictEqual(EventData.fromText(data.text).value, JSON.parse(data.text))
  })

  it.each([[undefined], [() => 1], [1n], [Symbol("a")]])(
    "cannot be made from a value that JSON cannot express",
    (value) => {
      assert.throws(() => EventData.fromValue(value), TypeError)
    }
  )

  it.prop(
    "is found again in the event by position",
    [Value, Schema.Literals(["s", `"q"\\`, "a/b", "漢🎈"])],
    ([value, name]) => {
      const data = textOf(value)
      const expected = { offset: toOffset(7), data, createdAt: "1970-01-01T00:00:00.000Z" }
      assert.deepStrictEqual(sliceEvent(shown(name, 7, data)), expected)
    }
  )
})
