/**
 * The suites there are.
 */
import { access } from "./access.ts"
import { daemon } from "./daemon.ts"
import { damage } from "./damage.ts"
import { disk } from "./disk.ts"
import { failpoints } from "./failpoints.ts"
import { flush } from "./flush.ts"
import { greed } from "./greed.ts"
import { histories } from "./histories.ts"
import { hostile } from "./hostile.ts"
import { idle } from "./idle.ts"
import { io } from "./io.ts"
import { kill9 } from "./kill9.ts"
import { model } from "./model.ts"
import { mutants } from "./mutants.ts"
import { powercut } from "./powercut.ts"
import { slowloris } from "./slowloris.ts"
import { soak } from "./soak.ts"
import { stalled } from "./stalled.ts"
import type { Suite } from "./suite.ts"
import { weaknesses } from "./weaknesses.ts"

export const suites: ReadonlyArray<Suite> = [
  kill9,
  failpoints,
  powercut,
  flush,
  disk,
  damage,
  io,
  histories,
  model,
  mutants,
  hostile,
  greed,
  stalled,
  idle,
  slowloris,
  daemon,
  access,
  soak,
  weaknesses
]
