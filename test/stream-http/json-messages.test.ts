/**
 * Promise 8 for batches: each message of an array is kept as the text that was sent.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { fromMessages } from "../../src/stream-http/append-body.ts"

const messages = (body: string) => Effect.runSync(fromMessages(Buffer.from(body))).map(({ text }) => text)

const refused = (body: string | Uint8Array) => {
  const exit = Effect.runSyncExit(fromMessages(Buffer.from(body as string)))
  return exit._tag === "Failure" ? String(exit.cause.toString()) : undefined
}

describe("messages", () => {
  it("Promise 8: an array is cut into its elements, each as it was sent", () => {
    assert.deepStrictEqual(
      messages(` [ 12345678901234567890.10 ,{"b":1, "a":[1,2],"b":"]}"},"a\\"],[" , [[]] ,true,null\t,-0.0e+5]\n`),
      ["12345678901234567890.10", `{"b":1, "a":[1,2],"b":"]}"}`, `"a\\"],["`, "[[]]", "true", "null", "-0.0e+5"]
    )
    assert.deepStrictEqual(messages("[]"), [])
    assert.deepStrictEqual(messages(" [ ] "), [])
    assert.deepStrictEqual(messages("[[],[]]"), ["[]", "[]"])
  })

  it("Promise 8: any value that is no array is one message", () => {
    assert.deepStrictEqual(messages(" {\"a\":\r\n 1.0}\n"), ["{\"a\":   1.0}"])
    assert.deepStrictEqual(messages("\"[1,2]\""), ["\"[1,2]\""])
  })

  it("any array is cut into texts that together are the array", () => {
    fc.assert(fc.property(fc.array(fc.jsonValue()), fc.constantFrom(undefined, 1, "\t", " \n"), (values, space) => {
      const texts = messages(JSON.stringify(values, undefined, space))
      assert.deepStrictEqual(JSON.parse(`[${texts.join(",")}]`), JSON.parse(JSON.stringify(values)))
      assert.strictEqual(texts.length, values.length)
      if (space === undefined) assert.deepStrictEqual(texts, values.map((value) => JSON.stringify(value)))
    }))
  })

  it("text that is not JSON or not UTF-8 is refused", () => {
    for (const body of ["", " ", "[1,]", "[1", "1 2", "{a:1}", "\ufeff\ufeff1", Buffer.from([0x22, 0xff, 0x22])]) {
      assert.match(refused(body) ?? "accepted", /not JSON|not valid UTF-8/)
    }
  })

  it("depth and number cost no more than length", () => {
    const deep = "[".repeat(100_000) + "]".repeat(100_000)
    assert.deepStrictEqual(messages(deep), [deep.slice(1, -1)])
    const many = `[${"0,".repeat(32_000)}0]`
    assert.strictEqual(messages(many).length, 32_001)
    const quotes = JSON.stringify(Array.from({ length: 20_000 }, () => "\\\"\\\\"))
    const from = Date.now()
    assert.strictEqual(messages(quotes).length, 20_000)
    assert.isBelow(Date.now() - from, 2_000)
  })
})
