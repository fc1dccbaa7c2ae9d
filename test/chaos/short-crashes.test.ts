/**
 * The suites in short: servers that are killed, cut off from power, and in trouble. What they find in minutes and hours,
 * `npm run chaos` finds (docs/trust.md).
 */
import { histories } from "./clients/histories.ts"
import { failpoints } from "./crashes/failpoints.ts"
import { kill9 } from "./crashes/kill9.ts"
import { powercut } from "./crashes/powercut.ts"
import { flush } from "./faults/flush.ts"
import { briefCases, io } from "./faults/io.ts"
import { inShort } from "./harness/short.ts"

inShort([
  [kill9, 6],
  [histories, 4],
  [failpoints, 1],
  [powercut, 1],
  [flush, 1],
  // Each for itself, since not every machine can be made to do each.
  ...briefCases.map((target) => [io, 1, { target }] as const)
])
