/**
 * The short form of the suites in which disks, files, clocks and pipes fail. `npm run chaos` is the long form, of
 * minutes and hours (docs/trust.md).
 */
import { inShort } from "../harness/short.ts"
import { flush } from "./flush.ts"
import { briefCases, io } from "./io.ts"

inShort([
  [flush, 1],
  // Each case is a test of its own, since not every machine can run each.
  ...briefCases.map((target) => [io, 1, { target }] as const)
])
