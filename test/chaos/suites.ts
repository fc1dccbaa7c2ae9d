/**
 * The suites there are.
 */
import { access } from "./access.ts"
import { histories } from "./histories.ts"
import { hostile } from "./hostile.ts"
import { kill9 } from "./kill9.ts"
import type { Suite } from "./suite.ts"

export const suites: ReadonlyArray<Suite> = [kill9, histories, hostile, access]
