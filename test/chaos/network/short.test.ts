/**
 * The suites in short: clients that read or send slowly, or not at all. What they find in minutes and hours, `npm run chaos`
 * finds (docs/trust.md).
 */
import { inShort } from "../harness/short.ts"
import { idle } from "./idle.ts"
import { slowloris } from "./slowloris.ts"
import { stalled } from "./stalled.ts"

inShort([
  [stalled, 1, { connections: 10 }],
  [idle, 1, { connections: 100 }],
  [slowloris, 1, { connections: 20 }]
])
