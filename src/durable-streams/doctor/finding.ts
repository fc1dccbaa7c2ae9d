/**
 * The options of `doctor`, and the finding of each of its checks.
 */
import type { Effect } from "effect"

export interface Finding {
  /** `warn`: it works, and may surprise a person. `fail`: it does not work, or not for long. */
  readonly status: "ok" | "warn" | "fail"
  readonly says: string
  /** How to fix it; undefined when there is nothing to fix. */
  readonly advice?: string
}

export interface Checked extends Finding {
  readonly check: string
}

export interface DoctorOptions {
  /** Absolute path. */
  readonly dataDirectory: string
  /** The address on which a server that is started here would listen; `portAsked`: the person set the port. */
  readonly host: string
  readonly port: number
  readonly portAsked: boolean
  /** The server that is used instead of a local one; undefined when none is named. */
  readonly url: string | undefined
  readonly onChecked: (checked: Checked) => Effect.Effect<void>
}
