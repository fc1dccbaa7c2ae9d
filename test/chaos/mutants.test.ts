/**
 * A mutant that no longer applies finds nothing: the text that each changes occurs exactly once. `npm run chaos --
 * mutants` runs the tests that kill them.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { describe, expect, it } from "vitest"
import { root } from "../support/built.ts"
import { mutants } from "./mutant-list.ts"

describe("every mutant", () => {
  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))("applies: %s", (_, { changes, killedBy }) => {
    for (const { file, from } of changes) {
      expect(fs.readFileSync(Path.join(root, file), "utf8").split(from)).toHaveLength(2)
    }
    for (const file of killedBy) expect(fs.existsSync(Path.join(root, file))).toBe(true)
  })
})
