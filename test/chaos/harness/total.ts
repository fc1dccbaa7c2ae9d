/**
 * The totals of all rounds of a crash suite.
 */
import { type Follower, settleFollowers } from "../clients/follower.ts"
import { check } from "./checks.ts"
import type { Found } from "./finals.ts"
import type { Ledger } from "./ledger.ts"
import type { Outcome } from "./suite.ts"

/** A connected follower has every event within this time. */
const livenessMillis = 2_000

export class Total {
  acked = 0
  unknown = 0
  followed = 0
  readonly restarts: Array<number> = []
  readonly violations: Array<string> = []

  /**
   * Checks the operations and the followers against the final logs, and adds the result; ends the followers and the
   * ledger.
   */
  async judge(found: Found, followers: ReadonlyArray<Follower>, ledger: Ledger): Promise<void> {
    const late = await settleFollowers(followers, found.finals, livenessMillis)
    const follows = followers.map(({ follow }) => follow)
    const { operations } = ledger
    this.violations.push(...late, ...found.violations, ...check({ operations, follows, finals: found.finals }))
    for (const { seen } of followers) this.followed += seen.length
    this.acked += ledger.count("ok")
    this.unknown += ledger.count("unknown")
    ledger.close()
  }

  get outcome(): Outcome {
    const violations = [...this.violations, ...(this.acked === 0 ? ["C16 nothing was acknowledged"] : [])]
    const count = (...checks: ReadonlyArray<string>) =>
      violations.filter((violation) => checks.includes(violation.slice(0, violation.indexOf(" ")))).length
    const restarts = this.restarts.toSorted((one, other) => one - other)
    return {
      counts: {
        acked: this.acked,
        unknown: this.unknown,
        followed: this.followed,
        lost: violations.filter((violation) => violation.endsWith("is not there")).length,
        duplicates: violations.filter((violation) => violation.endsWith("are there twice")).length,
        gaps: count("C3", "C12"),
        torn: count("C8", "P8"),
        restartMsP99: Math.round(restarts[Math.min(restarts.length - 1, Math.floor(restarts.length * 0.99))] ?? 0)
      },
      violations
    }
  }
}
