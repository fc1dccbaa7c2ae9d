/**
 * How many files this process may have open, where the system says so.
 */
import { readFileSync } from "node:fs"

/** Node raises its soft limit to the hard one when it starts, so what counts is read from the running process. */
export const fileLimit = (): number | undefined => {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}

/** Descriptors kept back for logs and everything that is not a connection. */
const filesKept = 640

/** How many connections this process may have at once; undefined where nothing says so. */
export const connectionsMax = (limit = fileLimit()): number | undefined =>
  limit === undefined ? undefined : Math.max(limit - filesKept, Math.floor(limit / 4))

/** How many logs may be open at once; more take turns. Where files are few, most are left to what is open for a moment. */
export const logFilesMax = (limit = fileLimit() ?? Infinity): number =>
  Math.min(logFilesEnough, Math.floor(limit / (limit < 2 * logFilesEnough ? 4 : 2)))

const logFilesEnough = 512
