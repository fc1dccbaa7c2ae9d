/**
 * The suites there are.
 */
import { histories } from "./histories.ts"
import { idle } from "./idle.ts"
import { kill9 } from "./kill9.ts"
import { slowloris } from "./slowloris.ts"
import { stalled } from "./stalled.ts"
import type { Suite } from "./suite.ts"

export const suites: ReadonlyArray<Suite> = [kill9, histories, stalled, idle, slowloris]
