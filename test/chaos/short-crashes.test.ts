/**
 * The suites in short: servers that are killed, cut off from power, and in trouble. What they find in minutes and hours,
 * `npm run chaos` finds (docs/trust.md).
 */
import { failpoints } from "./failpoints.ts"
import { flush } from "./flush.ts"
import { histories } from "./histories.ts"
import { briefCases, io } from "./io.ts"
import { kill9 } from "./kill9.ts"
import { powercut } from "./powercut.ts"
import { inShort } from "./short.ts"

inShort([
  [kill9, 6],
  [histories, 4],
  [failpoints, 1],
  [powercut, 1],
  [flush, 1],
  // Each for itself, since not every machine can be made to do each.
  ...briefCases.map((target) => [io, 1, { target }] as const)
])
