/**
 * The logs in which subscriptions keep their state (docs/storage-format.md 8).
 */
import type { StateLogKind } from "../../storage/state-log.ts"

export const subscriptionLogs: StateLogKind = { prefix: "__ds/subscriptions/", owner: "a subscription" }
