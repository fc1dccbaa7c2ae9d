/**
 * Reads how many files this process may have open, if the system says so, and divides them: if a connection took the last
 * one, the server could not open the log that the connection asks for.
 */
import { readFileSync } from "node:fs"
import { beyondMax } from "./connections.ts"

/**
 * Returns the limit of a process, of this one unless another is named; undefined if the system does not say it. Node raises
 * its soft limit to the hard one when it starts, so only the running process knows the limit that counts.
 */
export const fileLimit = (pid: number | "self" = "self"): number | undefined => {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))?.[1]
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}

/** Half of the usual limit (1,024). A process with fewer files gives logs less than this: connections need them more. */
const logsMin = 512

/** An append to a log that is not open opens it, which costs as much again. More logs than this are seldom in use. */
const logsMax = 4_096

/** Node's own files, the lock, the journal, and logs that are read while they are created. */
const othersMax = 128

export interface FileShares {
  readonly logs: number
  readonly connections: number
  /** Connections beyond these, whose requests are only refused. */
  readonly beyond: number
  /** Calls of webhooks at the same time. */
  readonly webhooks: number
}

/** A thousand receivers that answer in half a second are all called within eight seconds. */
const webhooksMax = 64

export const fileShares = (limit: number): FileShares => {
  const quarter = Math.floor(limit / 4)
  const beyond = Math.min(beyondMax, Math.floor(limit / 8))
  const webhooks = Math.max(1, Math.min(webhooksMax, Math.floor(limit / 16)))
  // When files are few, five sixteenths or more stay free for files that are open for a moment: logs that wake, the
  // journal, directories.
  if (limit < 2 * logsMin) return { logs: quarter, connections: quarter, beyond, webhooks }
  const logs = Math.min(Math.max(quarter, logsMin), logsMax)
  return { logs, connections: limit - logs - beyond - othersMax - webhooks, beyond, webhooks }
}
