/**
 * The suites in short: servers that are killed and cut off from power. What they find in minutes and hours, `npm run chaos`
 * finds (docs/trust.md).
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
