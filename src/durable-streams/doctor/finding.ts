/**
 * What `doctor` is asked, and what each of its checks finds.
 */
import type { Effect } from "effect"

/** What a check found. */
export interface Finding {
  /** `warn`: it works, and could surprise somebody. `fail`: it does not work, or not for long. */
  readonly status: "ok" | "warn" | "fail"
  readonly says: string
  /** What to do; undefined where nothing is to be done. */
  readonly advice?: string
}

export interface Checked extends Finding {
  readonly check: string
}

export interface DoctorOptions {
  /** Absolute path. */
  readonly dataDirectory: string
  /** Where a server started here would listen; `portAsked`: somebody said so. */
  readonly host: string
  readonly port: number
  readonly portAsked: boolean
  /** The server that is used instead of a local one; undefined where none is named. */
  readonly url: string | undefined
  readonly onChecked: (checked: Checked) => Effect.Effect<void>
}
