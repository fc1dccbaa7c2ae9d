/**
 * What all rounds of a crash suite have come to.
 */
import type { Outcome } from "./suite.ts"

export class Total {
  acked = 0
  unknown = 0
  followed = 0
  readonly restarts: Array<number> = []
  readonly violations: Array<string> = []

  get outcome(): Outcome {
    const count = (...checks: ReadonlyArray<string>) =>
      this.violations.filter((violation) => checks.includes(violation.slice(0, violation.indexOf(" ")))).length
    const restarts = this.restarts.toSorted((one, other) => one - other)
    return {
      counts: {
        acked: this.acked,
        unknown: this.unknown,
        followed: this.followed,
        lost: this.violations.filter((violation) => violation.endsWith("is not there")).length,
        duplicates: this.violations.filter((violation) => violation.endsWith("are there twice")).length,
        gaps: count("C3", "C12"),
        torn: count("C8", "P8"),
        restartMsP99: Math.round(restarts[Math.min(restarts.length - 1, Math.floor(restarts.length * 0.99))] ?? 0)
      },
      violations: this.violations
    }
  }
}
