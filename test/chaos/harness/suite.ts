/**
 * What a suite is: a plan made of a seed, run against a server or a disk, and what it found.
 */
import type { Random } from "../../support/random.ts"

export interface Context {
  readonly rounds: number
  readonly seed: number
  readonly random: Random
  /** Of its own, kept where the run fails: data directories, ledgers, logs. */
  readonly directory: string
  /** Tells people what is going on. */
  readonly say: (text: string) => void
  readonly options: Options
}

export interface Options {
  readonly minutes: number | undefined
  /** How many clients of the kind that the suite is about. */
  readonly connections: number | undefined
  readonly browser: boolean
  /** `--spawn`: another server to look at, through the protocol; `{port}` and `{dir}` stand for what it is to use. */
  readonly spawn: string | undefined
  /** `--target`: a yardstick to look at in place of our server, or the one case to be tried, where the suite knows some. */
  readonly target: string | undefined
  /** For `npm test`: little time, and nothing that a busy machine could make look wrong. */
  readonly brief: boolean
}

/** Those of a short form. */
export const briefly = (options: Partial<Options> = {}): Options => ({
  minutes: undefined,
  connections: undefined,
  browser: false,
  spawn: undefined,
  target: undefined,
  brief: true,
  ...options
})

export interface Outcome {
  readonly counts: Readonly<Record<string, number>>
  /** What must not be, a sentence each. */
  readonly violations: ReadonlyArray<string>
  /** What could not be tried on this machine, and why, each once: where something was left out, nothing has passed. */
  readonly left?: ReadonlyArray<string>
}

/** Why it cannot be run here. That is no pass. */
interface Skipped {
  readonly skipped: string
}

export interface Suite {
  readonly name: string
  readonly about: string
  /** Rounds of a full run (docs/trust.md). */
  readonly rounds: number
  readonly run: (context: Context) => Promise<Outcome | Skipped>
}
