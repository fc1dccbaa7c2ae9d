/**
 * The suites in short: clients of every kind. What they find in minutes and hours, `npm run chaos` finds (docs/trust.md).
 */
import { daemon } from "./daemon.ts"
import { idle } from "./idle.ts"
import { inShort } from "./short.ts"
import { slowloris } from "./slowloris.ts"
import { soak } from "./soak.ts"
import { stalled } from "./stalled.ts"
import { weaknesses } from "./weaknesses.ts"

inShort([
  [daemon, 4],
  [soak, 1],
  [weaknesses, 1],
  [stalled, 1, { connections: 10 }],
  [idle, 1, { connections: 100 }],
  [slowloris, 1, { connections: 20 }]
])
