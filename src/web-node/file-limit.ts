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
