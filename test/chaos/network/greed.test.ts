/**
 * The attacks of `npm run chaos -- greed` in short, but for the longest: the least that costs the most, at every route.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as Path from "node:path"
import { assert, describe, it } from "vitest"
import { build } from "../../support/built.ts"
import { Random } from "../../support/random.ts"
import { briefly } from "../harness/suite.ts"
import { attacks, greed } from "./greed.ts"

/** Ten times what the longest takes, and again where the machine is busy. */
const timeout = 120_000

/** Left to the long form for the time that they take; the short form has others of each kind. */
const onlyLong: ReadonlyArray<string> = [
  "new names in a small heap",
  "lists of one name behind each other",
  "lists of all names",
  "a body a byte at a time",
  "as many lines as there may be, with carriage returns",
  "as many lines as there may be, for a stream of bytes",
  "brackets that are not closed, line by line",
  "halves of characters, to followers",
  "lines of spaces",
  "objects within objects",
  "strings that are not closed"
]

describe("Promise 6, 11: nobody else waits, and nothing is kept, when somebody asks for", () => {
  build()
  it.each(attacks.map(({ name }) => name).filter((name) => !onlyLong.includes(name)))(
    "%s",
    { timeout },
    async (target) => {
      const directory = fs.mkdtempSync(Path.join(os.tmpdir(), "durable-streams-greed-"))
      const options = briefly({ target })
      const context = { rounds: 1, seed: 1, random: new Random(1), directory, say: () => {}, options }
      const { violations } = await greed.run(context) as { readonly violations: ReadonlyArray<string> }
      assert.deepStrictEqual(violations, [])
      fs.rmSync(directory, { recursive: true, force: true })
    }
  )

  it("all of what there is to ask for: no two attacks have one name", () => {
    const names = attacks.map(({ name }) => name)
    assert.strictEqual(new Set(names).size, names.length)
    assert.deepStrictEqual(onlyLong.filter((name) => !names.includes(name)), [])
  })
})
