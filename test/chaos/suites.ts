/**
 * The suites there are.
 */
import { histories } from "./histories.ts"
import { kill9 } from "./kill9.ts"
import { stalled } from "./stalled.ts"
import type { Suite } from "./suite.ts"

export const suites: ReadonlyArray<Suite> = [kill9, histories, stalled]
