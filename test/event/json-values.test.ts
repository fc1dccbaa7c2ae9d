/**
 * A value has the keys of its text, whatever the process read before: hooks see such values, and programs subscribe to
 * them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { EventData } from "../../src/event/event-data.ts"
import { members } from "../../src/event/json-scan.ts"
import { parseJson } from "../../src/event/json-values.ts"
import { tried } from "../support/properties.ts"

/** Keys of which many begin alike and go on with a character that is written with an escape. */
const Key = Schema.Array(
  Schema.Literals(["\\", "\"", "\t", "\n", "w", "u0022", "é", "\u0000", "\ue000", "0", "__proto__"])
)
  .check(Schema.isMaxLength(3))
const Entries = Schema.Array(Schema.Tuple([Key, Schema.Json])).check(Schema.isMaxLength(4))

/** Compares keys by their code units: two objects with one wrong key each would count as equal. */
const keysOf = (value: object) => Object.keys(value).map((key) => Buffer.from(key).toString("hex"))

/** How long the text takes, in milliseconds. */
const timed = (text: string) => {
  const from = performance.now()
  parseJson(text)
  return performance.now() - from
}

describe("Promise 3: the keys of a JSON text", () => {
  it.prop("are its own, whatever was read before", [Schema.Array(Entries)], ([objects]) => {
    for (const entries of objects) {
      const own = new Map(entries.map(([key, value]) => [key.join(""), JSON.stringify(value)]))
      const text = `{"x":0${[...own].map(([key, value]) => `,${JSON.stringify(key)}: ${value}`).join("")}}`
      const plain = Object.create(null) as Record<string, unknown>
      for (const key of ["x", ...own.keys()]) plain[key] = 0
      for (const value of [parseJson(text), EventData.fromChecked(text).value, EventData.fromText(text).value]) {
        assert.deepStrictEqual(keysOf(value as object), keysOf(plain), text)
      }
      const inside = parseJson(`[[${text}],{"a":${text}}]`) as [[object], { a: object }]
      assert.deepStrictEqual(keysOf(inside[0][0]), keysOf(plain), text)
      assert.deepStrictEqual(keysOf(inside[1].a), keysOf(plain), text)
      const bytes = Buffer.from(text)
      const found = members(bytes)!.slice(1).map(([key, start, end]) => [key, bytes.toString("utf8", start, end)])
      assert.deepStrictEqual(found, [...own], text)
    }
  }, tried(2_000))

  it("are right after a text from which V8 takes them", () => {
    JSON.parse(`{"x":1,"w\\\\":1}`)
    assert.deepStrictEqual(Object.keys(parseJson(`{"x":1,"w\\"":1}`) as object), ["x", "w\""])
    assert.deepStrictEqual(parseJson(`{"\\u0061":1,"a":2,"b":"\\":"}`), { a: 2, b: "\":" })
    assert.deepStrictEqual(parseJson(` "a\\"b" `), "a\"b")
    const proto = parseJson(`{"__pro\\u0074o__":{"\\"":1}}`) as Record<string, unknown>
    assert.deepStrictEqual(Object.keys(proto), ["__proto__"])
    assert.strictEqual(Object.getPrototypeOf(proto), Object.prototype)
  })

  it("are found at any depth", () => {
    let value = parseJson("[".repeat(50_000) + `{"\\"":1}` + "]".repeat(50_000))
    while (Array.isArray(value)) value = value[0]
    assert.deepStrictEqual(Object.keys(value as object), ["\""])
  })

  it("are the last of those that are written twice, whichever way each is written", () => {
    const texts = [
      `{"admin":false,"\\u0061dmin":false,"admin":true}`,
      `{"a":1,"\\u0061":2,"a":3}`,
      `{"\\u0061":1,"b":2,"a":3,"0":4}`,
      `[{"k0":1,"\\"":2,"k1":{"k0":3}}]`
    ]
    for (const text of texts) assert.deepStrictEqual(parseJson(text), JSON.parse(text), text)
    assert.deepStrictEqual(Object.keys(parseJson(texts[2]!) as object), ["0", "a", "b"])
  })

  it("cost no more than the text, however it is made", () => {
    // The time of a plain text of that length, many times over: a search that is not linear takes minutes.
    const length = 1_000_000
    const plain = timed(`{"\\n":"${"x".repeat(length)}"}`)
    const most = 100 * (plain + 20)
    assert.isBelow(timed(`{"\\n":1,"x":"${"\ue000".repeat(length)}"}`), most)
    assert.isBelow(timed(`{${`"\\n":1,`.repeat(length / 7)}"x":"${"\ue000".repeat(4_500)}"}`), most)
    assert.isBelow(timed(`{"a":"${"\\n".repeat(length / 2)}"}`), most)
  })

  it.each(["", "[]", "1", "{", `{"a"}`, `{"a":1,}`, `{"a":1}x`, `{"a\\":1}`, `{"a":}`])(
    "are not looked for in %j",
    (text) => {
      assert.isUndefined(members(Buffer.from(text)))
    }
  )
})
