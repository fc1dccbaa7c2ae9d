/**
 * The suites in short: clients that do what clients do, many at once. What they find in minutes and hours, `npm run chaos`
 * finds (docs/trust.md).
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
