/**
 * The suites in short: clients of every kind. What they find in minutes and hours, `npm run chaos` finds (docs/trust.md).
 */
import { daemon } from "./clients/daemon.ts"
import { soak } from "./clients/soak.ts"
import { weaknesses } from "./clients/weaknesses.ts"
import { inShort } from "./harness/short.ts"
import { idle } from "./network/idle.ts"
import { slowloris } from "./network/slowloris.ts"
import { stalled } from "./network/stalled.ts"

inShort([
  [daemon, 4],
  [soak, 1],
  [weaknesses, 1],
  [stalled, 1, { connections: 10 }],
  [idle, 1, { connections: 100 }],
  [slowloris, 1, { connections: 20 }]
])
