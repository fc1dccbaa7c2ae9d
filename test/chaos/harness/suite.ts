/**
 * The contract of a suite: a plan made from a seed, its run against a server or a disk, and its result.
 */
import type { Random } from "../../support/random.ts"

export interface Context {
  readonly rounds: number
  readonly seed: number
  readonly random: Random
  /** The run's own directory, kept if the run fails: data directories, ledgers, logs. */
  readonly directory: string
  /** Reports progress to people. */
  readonly say: (text: string) => void
  readonly options: Options
}

export interface Options {
  readonly minutes: number | undefined
  /** The number of clients of the kind that the suite is about. */
  readonly connections: number | undefined
  readonly browser: boolean
  /**
   * `--spawn`: the command of another server to test through the protocol; `{port}` and `{dir}` stand for its port and
   * directory.
   */
  readonly spawn: string | undefined
  /** `--target`: a yardstick that replaces our server, or the one case to run, if the suite knows some. */
  readonly target: string | undefined
  /** For `npm test`: little time, and no check that fails falsely on a busy machine. */
  readonly brief: boolean
}

/** The options of a short form. */
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
  /** A sentence for each violation. */
  readonly violations: ReadonlyArray<string>
  /**
   * The parts that could not run on this machine, and the reasons, each once. A suite with such a part has not passed.
   */
  readonly left?: ReadonlyArray<string>
}

/** The reason why the suite cannot run here. A skipped suite has not passed. */
interface Skipped {
  readonly skipped: string
}

export interface Suite {
  readonly name: string
  readonly about: string
  /** The number of rounds of a full run (docs/trust.md). */
  readonly rounds: number
  readonly run: (context: Context) => Promise<Outcome | Skipped>
}
