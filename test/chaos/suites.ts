/**
 * All suites.
 */
import { damage } from "../simulation/damage.ts"
import { disk } from "../simulation/disk.ts"
import { model } from "../simulation/model.ts"
import { access } from "./access/access.ts"
import { daemon } from "./clients/daemon.ts"
import { histories } from "./clients/histories.ts"
import { soak } from "./clients/soak.ts"
import { weaknesses } from "./clients/weaknesses.ts"
import { failpoints } from "./crashes/failpoints.ts"
import { kill9 } from "./crashes/kill9.ts"
import { powercut } from "./crashes/powercut.ts"
import { flush } from "./faults/flush.ts"
import { io } from "./faults/io.ts"
import type { Suite } from "./harness/suite.ts"
import { mutants } from "./mutants.ts"
import { greed } from "./network/greed.ts"
import { hostile } from "./network/hostile.ts"
import { idle } from "./network/idle.ts"
import { slowloris } from "./network/slowloris.ts"
import { stalled } from "./network/stalled.ts"

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
