/**
 * The suites there are.
 */
import { damage } from "./damage.ts"
import { disk } from "./disk.ts"
import { histories } from "./histories.ts"
import { kill9 } from "./kill9.ts"
import { model } from "./model.ts"
import { mutants } from "./mutants.ts"
import type { Suite } from "./suite.ts"

export const suites: ReadonlyArray<Suite> = [kill9, histories, disk, damage, model, mutants]
