/**
 * The short form of `npm run chaos -- model`.
 */
import { assert, it } from "vitest"
import { histories } from "./model.ts"

it.for(
  [
    ["memory", 30],
    ["disk", 40]
  ] as const
)("streams are what the model says they are, after any history (%s)", async ([storage, count]) => {
  const { steps, violation } = await histories(storage, 7, count)
  assert.isUndefined(violation)
  assert.isAbove(steps, 5 * count)
})
