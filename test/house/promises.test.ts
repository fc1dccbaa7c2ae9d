/**
 * A test names every promise of docs/promises.md, and no test names a promise that does not exist.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"

const made = [...fs.readFileSync("docs/promises.md", "utf8").matchAll(/^(\d+)\. \*\*/gm)].map(([, number]) => number!)

const named = new Set(
  fs.readdirSync("test", { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => [...fs.readFileSync(path.join("test", file), "utf8").matchAll(/["'`]Promise (\d+):/g)])
    .map(([, number]) => number!)
)

describe("the promises", () => {
  it("are twelve", () => assert.strictEqual(made.length, 12))

  for (const number of made) {
    it(`${number} is named by a test`, () => assert.isTrue(named.has(number)))
  }

  it("are the only ones that tests name", () =>
    assert.deepStrictEqual([...named].filter((number) => !made.includes(number)), []))
})
