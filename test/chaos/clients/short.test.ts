/**
 * The short form of the suites in which many clients work at once. `npm run chaos` is the long form, of minutes and
 * hours (docs/trust.md).
 */
import { inShort } from "../harness/short.ts"
import { daemon } from "./daemon.ts"
import { histories } from "./histories.ts"
import { soak } from "./soak.ts"
import { weaknesses } from "./weaknesses.ts"

inShort([
  [daemon, 4],
  [histories, 4],
  [soak, 1],
  [weaknesses, 1]
])
