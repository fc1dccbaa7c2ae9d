/**
 * How many files this process may have open, where the system says so, and who gets how many of them: a connection that
 * took the last one would keep the log from being opened that it asks for.
 */
import { readFileSync } from "node:fs"
import { beyondMax } from "./connections.ts"

/**
 * Node raises its soft limit to the hard one when it starts, so what counts is read from the running process: this one,
 * unless another is named.
 */
export const fileLimit = (pid: number | "self" = "self"): number | undefined => {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))?.[1]
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}

/** Half of the usual limit (1,024): with fewer, connections need what there is more. */
const logsLeast = 512

/** A log that is not open is opened for each append: that costs as much as the append. More than this are seldom in use. */
const logsMost = 4_096

/** Node's own, the lock, the journal, logs that are being read while they are made. */
const othersMost = 128

export interface FileShares {
  readonly logs: number
  readonly connections: number
  /** Connections beyond these, which are only told so. */
  readonly beyond: number
  /** Calls of webhooks at once. */
  readonly webhooks: number
}

/** A thousand receivers that answer in half a second are all called within eight. */
const webhooksMost = 64

export const fileShares = (limit: number): FileShares => {
  const quarter = Math.floor(limit / 4)
  const beyond = Math.min(beyondMax, Math.floor(limit / 8))
  const webhooks = Math.max(1, Math.min(webhooksMost, Math.floor(limit / 16)))
  // Where files are few, three of eight or more are left to what is open for a moment: logs that wake, the journal, directories.
  if (limit < 2 * logsLeast) return { logs: quarter, connections: quarter, beyond, webhooks }
  const logs = Math.min(Math.max(quarter, logsLeast), logsMost)
  return { logs, connections: limit - logs - beyond - othersMost - webhooks, beyond, webhooks }
}
