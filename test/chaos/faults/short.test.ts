/**
 * The suites in short: disks, files, clocks and pipes that fail. What they find in minutes and hours, `npm run chaos` finds
 * (docs/trust.md).
 */
import { inShort } from "../harness/short.ts"
import { flush } from "./flush.ts"
import { briefCases, io } from "./io.ts"

inShort([
  [flush, 1],
  // Each for itself, since not every machine can be made to do each.
  ...briefCases.map((target) => [io, 1, { target }] as const)
])
