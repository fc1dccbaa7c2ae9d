/**
 * The short form of the suites in which clients read or send slowly, or not at all. `npm run chaos` is the long form,
 * of minutes and hours (docs/trust.md).
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
