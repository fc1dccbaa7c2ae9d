/**
 * The suites there are.
 */
import { failpoints } from "./failpoints.ts"
import { flush } from "./flush.ts"
import { histories } from "./histories.ts"
import { io } from "./io.ts"
import { kill9 } from "./kill9.ts"
import { powercut } from "./powercut.ts"
import type { Suite } from "./suite.ts"

export const suites: ReadonlyArray<Suite> = [kill9, histories, powercut, flush, failpoints, io]
