/**
 * Names of streams as names of files (docs/storage-format.md 2): different streams have different names on every file
 * system, and the name of a file gives the name of its stream.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { nameFault } from "../../src/domain/types.ts"
import { fromFileName, toFileName } from "../../src/storage-filesystem/format/file-names.ts"
import { tried } from "../support/properties.ts"
import { named } from "../support/storage-fixtures.ts"

/** Pieces of names that file systems confuse with one another, or give another meaning. */
const pieces = [
  "a",
  "A",
  "b",
  "é",
  "é",
  "ß",
  "ﬁ",
  "漢",
  "🎈",
  "ſ",
  "İ",
  "ı",
  ".",
  "..",
  "/",
  "\\",
  "%",
  "%2F",
  "%2f",
  "~",
  "@",
  " ",
  "-",
  "_",
  ":",
  "*",
  "?",
  "\"",
  "<",
  "|",
  "con",
  "CON",
  "nul",
  "com1",
  "lpt9",
  "aux",
  "prn",
  ".json",
  ".new",
  "0",
  "x".repeat(80),
  "Y".repeat(80)
] as const

const Name = Schema.Array(Schema.Literals(pieces))
const nameOf = (parts: ReadonlyArray<string>) => named(parts.join("") || "empty")
const good = (parts: ReadonlyArray<string>) => nameFault(parts.join("") || "empty") === undefined
const options = tried(500, 30)

describe("The file of a stream", () => {
  it.prop(
    "has a name of safe characters that is short enough even with .new behind it, and cannot leave the directory",
    [Name],
    ([parts]) => {
      if (!good(parts)) return
      const file = toFileName(nameOf(parts))
      assert.match(file, /^[a-z0-9_%A-F~-]+\.json$/)
      assert.isAtMost(file.length + ".new".length, 255)
      assert.notMatch(file, /^(?:con|prn|aux|nul|com\d|lpt\d)\./i)
    },
    options
  )

  it.prop(
    "has a name that gives its stream's name, or says that the name stands inside the file",
    [Name],
    ([parts]) => {
      if (!good(parts)) return
      const name = nameOf(parts)
      const file = toFileName(name)
      assert.strictEqual(fromFileName(file), file.includes("~") ? "hashed" : name)
    },
    options
  )

  it.prop(
    "has another name than the file of any other stream, even if upper and lower case are the same",
    [Name, Name],
    ([one, other]) => {
      if (!good(one) || !good(other)) return
      const same = toFileName(nameOf(one)).toLowerCase() === toFileName(nameOf(other)).toLowerCase()
      assert.strictEqual(same, nameOf(one) === nameOf(other))
    },
    options
  )

  it.prop("has another name when the streams' names differ in any letter of any alphabet", [
    Schema.String,
    Schema.String
  ], ([one, other]) => {
    if (nameFault(one) !== undefined || nameFault(other) !== undefined) return
    assert.strictEqual(toFileName(named(one)) === toFileName(named(other)), one === other)
    assert.strictEqual(fromFileName(toFileName(named(one))), one)
  }, options)

  const documented: ReadonlyArray<readonly [name: string, file: string]> = [
    ["my-stream_1", "my-stream_1.json"],
    ["a/b", "a%2Fb.json"],
    ["A", "%41.json"],
    [".", "%2E.json"],
    ["..", "%2E%2E.json"],
    ["é", "%C3%A9.json"],
    ["100%", "100%25.json"],
    ["con", "%63on.json"],
    ["com1", "%63om1.json"],
    ["com10", "com10.json"],
    ["console", "console.json"],
    ["orders.json", "orders%2Ejson.json"]
  ]
  it.each(documented)("for %s is %s", (name, file) => {
    assert.strictEqual(toFileName(named(name)), file)
    assert.strictEqual(fromFileName(file), name)
  })

  const lengths: ReadonlyArray<readonly [bytes: number, letter: string, hashed: boolean]> = [
    [84, "a", false],
    [85, "a", false],
    [246, "a", false],
    [247, "a", true],
    [255, "a", true],
    [256, "a", true],
    [512, "a", true],
    [82, "A", false],
    [83, "A", true],
    [84, "A", true],
    [85, "A", true],
    [255, "A", true],
    [256, "A", true],
    [512, "A", true]
  ]
  it.each(lengths)(
    "has a name that fits for %i bytes of the letter %s (a hash stands for the rest: %s)",
    (bytes, letter, hashed) => {
      const name = named(letter.repeat(bytes))
      const file = toFileName(name)
      assert.isAtMost(file.length + ".new".length, 255)
      assert.strictEqual(fromFileName(file), hashed ? "hashed" : name)
      assert.notStrictEqual(toFileName(named(letter.repeat(bytes - 1) + "b")), file)
    }
  )

  const foreign = [
    "",
    ".json",
    "a",
    "a.txt",
    "A.json",
    "a.json.new",
    "a b.json",
    "a%2fb.json",
    "a%61.json",
    "%.json",
    "%2.json",
    "%FF.json",
    "%00.json",
    "con.json",
    "a@1.json",
    "a~b.json",
    `${"a".repeat(120)}~${"g".repeat(64)}.json`,
    "é.json",
    `${"a".repeat(247)}.json`
  ]
  it.each(foreign)("is never named %j, and the storage takes no such file for a log", (file) => {
    assert.isUndefined(fromFileName(file))
  })
})
