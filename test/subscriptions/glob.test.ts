/**
 * The names that a pattern means.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { compileGlob, parseGlob, patternFault, patternLengthMax } from "../../src/subscriptions/running/glob.ts"
import { tried } from "../support/properties.ts"

const segment = Schema.Literals(["a", "b", "c"])
const path = Schema.NonEmptyArray(segment)
const pattern = Schema.NonEmptyArray(Schema.Literals(["a", "b", "*", "**"]))

/** The meaning in its plainest form; slow. */
const means = (pattern: ReadonlyArray<string>, path: ReadonlyArray<string>): boolean => {
  const [first, ...rest] = pattern
  if (first === undefined) return path.length === 0
  if (first === "**") return means(rest, path) || (path.length > 0 && means(pattern, path.slice(1)))
  return path.length > 0 && (first === "*" || first === path[0]) && means(rest, path.slice(1))
}

describe("a pattern", () => {
  it.prop("means what its definition says", [pattern, path], ([pattern, path]) => {
    assert.strictEqual(compileGlob(pattern.join("/"))(path.join("/")), means(pattern, path))
  }, tried(5_000, 12))

  it.prop(
    "of two letters and many stars means what its definition says, and costs no more than the page says",
    [
      Schema.NonEmptyArray(Schema.Literals(["a", "a", "*", "**"])),
      Schema.NonEmptyArray(Schema.Literals(["a", "a", "", "b"]))
    ],
    ([pattern, path]) => {
      const effort = { steps: 0 }
      const { first, last, matches } = parseGlob(pattern.join("/"))
      // An empty name is no name.
      if (path.length === 1 && path[0] === "") return
      const meant = matches(path, effort)
      assert.strictEqual(meant, means(pattern, path))
      assert.isAtMost(effort.steps, (path.length + 1) * (pattern.length + 1))
      // The index relies on this.
      if (meant && first !== undefined) assert.strictEqual(path[0], first)
      if (meant && last !== undefined) assert.strictEqual(path.at(-1), last)
    },
    tried(5_000, 10)
  )

  it.prop("that is a name means that name alone", [path, path], ([one, other]) => {
    assert.strictEqual(compileGlob(one.join("/"))(other.join("/")), one.join("/") === other.join("/"))
  })

  const cases: ReadonlyArray<readonly [pattern: string, path: string, meant: boolean]> = [
    ["events/*", "events/a", true],
    ["events/*", "events/a/b", false],
    ["events/*", "events", false],
    ["events/*", "events/", true],
    ["*", "a", true],
    ["*", "a/b", false],
    ["**", "a/b/c", true],
    ["events/**", "events", true],
    ["events/**", "events/a/b", true],
    ["events/**", "eventsa/b", false],
    ["**/log", "log", true],
    ["**/log", "a/b/log", true],
    ["**/log", "a/b/log/c", false],
    ["a/**/z", "a/z", true],
    ["a/**/z", "a/b/c/z", true],
    ["a/**/*/z", "a/z", false],
    ["a.c", "abc", false],
    ["[ab]", "a", false],
    ["A", "a", false]
  ]
  for (const [pattern, path, meant] of cases) {
    it(`${pattern} ${meant ? "means" : "does not mean"} ${path}`, () =>
      assert.strictEqual(compileGlob(pattern)(path), meant))
  }

  it("of the worst kind is tested in no time", () => {
    const matches = compileGlob(`${"**/a/".repeat(100)}b`)
    const millis = [1, 2, 3].map(() => {
      const from = performance.now()
      assert.isFalse(matches("a/".repeat(255)))
      return performance.now() - from
    })
    // Other work of the machine must not count, so the fastest run decides.
    assert.isBelow(Math.min(...millis), 100)
  })

  it("with a star inside a segment, empty, or too long, is refused with the reason", () => {
    assert.match(patternFault("events/user-*")!, /whole segments.*"user-\*"/)
    assert.match(patternFault("a/***")!, /whole segments/)
    assert.match(patternFault("")!, /empty/)
    assert.match(patternFault("a".repeat(patternLengthMax + 1))!, /longer/)
    assert.isUndefined(patternFault("a/*/**/b"))
  })
})
