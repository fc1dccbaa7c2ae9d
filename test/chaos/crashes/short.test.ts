/**
 * The short form of the suites that kill servers and cut their power. `npm run chaos` is the long form, of minutes and
 * hours (docs/trust.md).
 */
import { inShort } from "../harness/short.ts"
import { failpoints } from "./failpoints.ts"
import { kill9 } from "./kill9.ts"
import { powercut } from "./powercut.ts"

inShort([
  [kill9, 6],
  [failpoints, 1],
  [powercut, 1]
])
