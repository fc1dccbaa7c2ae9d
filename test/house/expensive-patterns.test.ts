/**
 * No pattern of the sources is slow for any text: a pattern that tries again from every place of a long run would let a
 * single request hold the whole server (promise 11).
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseSync, Visitor } from "rolldown/utils"
import { assert, describe, it } from "vitest"

const charactersMax = 100_000
const millisMax = 50

/** A text of this length shows the pattern's cost: squared time takes 1.5 ms for it, linear time some microseconds. */
const charactersTried = 2_000
const suspectMillis = 0.3

/** Exponential time shows at this length already. */
const charactersFirst = 26

/** The pieces of a run: all that patterns here give a meaning to, and texts that are easily taken for them. */
const units = ["/", "a", "A", "0", " ", "\t", "\n", "\r", "\0", "%", ".", "-", ":", "_", "*", "~", "\"", "é", "{", "["]
  .concat(["1m", "1ms", "1h", "0.", "::", "a/", "/a", "a-", " a", "\r\n", "?#", "a.", ".-", "a:", "\\"])

/** Beginnings that a text may need before a pattern looks further. */
const beginnings = [
  "",
  "x",
  "\"",
  "[",
  "0",
  "http://",
  "https://",
  "a://",
  "Bearer ",
  "a/b",
  "a/b;",
  "[0",
  "localhost:"
]
  .concat(["__ds/subscriptions/1/", "charset=", "2026-01-08T00:00:00.0", "Schema validation failed: ", "Expected"])

const ends = ["", "!", "\n"]

describe("patterns", () => {
  it("take no longer than 50 ms for a text of 100 KB", () => {
    const found = patterns()
    assert.isAtLeast(found.length, 40)
    assert.deepStrictEqual(found.flatMap(expense), [])
  })

  it("that try again from every place of a run can be told from those that do not", () => {
    assert.isNotEmpty(expense({ place: "here", pattern: /\/+$/ }))
    assert.isNotEmpty(expense({ place: "here", pattern: /^(?:a+)+$/ }))
    assert.deepStrictEqual(expense({ place: "here", pattern: /(?<!\/)\/+$/ }), [])
  })
})

interface Found {
  readonly place: string
  readonly pattern: RegExp
}

/** Every regular expression of `src`. */
const patterns = (): ReadonlyArray<Found> =>
  readdirSync("src", { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts")).flatMap((file) => {
    const text = readFileSync(join("src", file), "utf8")
    const inFile: Array<Found> = []
    new Visitor({
      Literal: (node) => {
        if (!("regex" in node)) return
        const place = `src/${file}:${text.slice(0, node.start).split("\n").length}`
        inFile.push({ place, pattern: new RegExp(node.regex.pattern, node.regex.flags) })
      }
    }).visit(parseSync(file, text).program)
    return inFile
  })

/** A sentence if some text takes the pattern too long. */
const expense = ({ pattern, place }: Found): ReadonlyArray<string> => {
  const everywhere = new RegExp(pattern, `${pattern.flags.replace("g", "")}g`)
  const millisFor = (text: string) => {
    const from = performance.now()
    text.replace(everywhere, "")
    return performance.now() - from
  }
  for (const { first, longer, tried } of texts) {
    // Other work of the machine must not count, so each of three tries has to take long.
    const takesLong = (text: () => string) => [1, 2, 3].every(() => millisFor(text()) > millisMax)
    const isExpensive = takesLong(() => first) || (millisFor(tried) > suspectMillis && longer.some(takesLong))
    if (isExpensive) {
      return [`${place}: ${pattern} takes longer than ${millisMax} ms for the likes of ${JSON.stringify(first)}.`]
    }
  }
  return []
}

const texts = beginnings.flatMap((beginning) =>
  units.flatMap((unit) =>
    ends.map((end) => {
      const text = (characters: number) =>
        Buffer.from(beginning + unit.repeat(characters / unit.length) + end).toString()
      return {
        first: text(charactersFirst),
        tried: text(charactersTried),
        longer: [() => text(charactersMax / 5), () => text(charactersMax)]
      }
    })
  )
)
