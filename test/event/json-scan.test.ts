/**
 * The scanner accepts the same texts as `JSON.parse` and finds the same parts (promise 8): the tests compare them on
 * valid texts, and on the same texts with characters changed, removed and inserted.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { elementRanges, memberRange, valueEnd } from "../../src/event/json-scan.ts"
import { tried } from "../support/properties.ts"

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Whether the bytes are one value with only space around it. */
const isOne = (bytes: Buffer): boolean => {
  const end = valueEnd(bytes, 0)
  return end >= 0 && /^[ \t\r\n]*$/.test(bytes.toString("latin1", end))
}

/** Arrays and objects in one another. */
const deep = (depth: number) =>
  Buffer.from("[".repeat(depth) + "{\"a\":".repeat(depth) + "1" + "}".repeat(depth) + "]".repeat(depth))

const Nat = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))
const pieces = [
  ..."{}[]:,\"\\ \t\n\r0123456789.eE+-truefalsn/bu\u0000\u001fä🎈",
  "\\u00e4",
  "\\ud83c",
  "01",
  "-",
  "1e5",
  "0.",
  ".5",
  "NaN"
]

describe("Promise 8: the scanner of JSON", () => {
  it.prop(
    "takes every text that a parser takes, and no other",
    [Schema.Json, Schema.Array(Schema.Tuple([Nat, Nat, Nat]))],
    ([value, changes]) => {
      let text = JSON.stringify(value, undefined, changes.length % 3)
      assert.isTrue(isOne(Buffer.from(text)), text)
      for (const [at, piece, length] of changes.slice(0, 6)) {
        const from = at % (text.length + 1)
        text = text.slice(0, from) + pieces[piece % pieces.length]! + text.slice(from + length % 3)
        if (text.isWellFormed()) assert.strictEqual(isOne(Buffer.from(text)), isJson(text), JSON.stringify(text))
      }
    },
    tried(2_000)
  )

  it.each([
    ..."0 -0 10 1.5 1e9 1E+9 1e-9 -1.25e0 12345678901234567890 1e400 \"\" \"\\u12aF\" \"\\/\" true false null [] {} [[]]"
      .split(" "),
    "01 - 1. .5 1e 1e+ +1 00 -01 \"\\u12g4\" \"\\x\" \"\t\" \" truE nul tru [1,] [,] {\"a\"} {\"a\":} {a:1} {\"a\":1,} ] } [} {] 1 2"
      .split(" "),
    "\ufeff1",
    "\u00a01",
    "",
    " ",
    "[1 2]",
    "{\"a\":1 \"b\":2}",
    "\"\u007f\"",
    "\"\u2028\""
  ].flat())("agrees with a parser on %j", (text) => {
    assert.strictEqual(isOne(Buffer.from(text)), isJson(text))
  })

  it("takes any depth", () => {
    assert.isTrue(isOne(deep(100_000)))
    assert.isFalse(isOne(deep(1_000).subarray(1)))
  })

  it.prop("finds the elements of an array and the last member of a name", [
    Schema.Array(Schema.Json),
    Schema.Record(Schema.String, Schema.Json)
  ], ([values, members]) => {
    for (const indent of [0, 2]) {
      const list = Buffer.from(JSON.stringify(values, undefined, indent))
      const ranges = elementRanges(list, Infinity)
      assert.isArray(ranges)
      const found = Array.from(
        { length: ranges!.length / 2 },
        (_, i) =>
          JSON.parse(
            list.toString(
              "utf8",
              (ranges as ReadonlyArray<number>)[2 * i],
              (ranges as ReadonlyArray<number>)[2 * i + 1]
            )
          )
      )
      assert.deepStrictEqual(found, JSON.parse(list.toString()))
      const object = Buffer.from(JSON.stringify({ ...members, data: values }, undefined, indent))
      const range = memberRange(object, "data") as readonly [number, number]
      assert.deepStrictEqual(JSON.parse(object.toString("utf8", ...range)), JSON.parse(list.toString()))
    }
  })

  it.each(["[1", "{\"data\":1", "{\"data\":1}x", "{\"data\":1}{", "{\"data\" 1}", "{data:1}", "[1]]", "1 1"])(
    "says of %j that it is no JSON, whatever it looks for",
    (text) => {
      assert.isUndefined(memberRange(Buffer.from(text), "data"))
      assert.isUndefined(elementRanges(Buffer.from(text), Infinity))
    }
  )
})
