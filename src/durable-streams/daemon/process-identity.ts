/**
 * Tells a process from every other one that ever has its number: by the namespace of the number and by the start time of
 * the process. Only Linux tells both.
 */
import * as fs from "node:fs"

/** The identity of the process with this number; undefined when there is none, or the system does not tell. */
export const identityOf = (pid: number): string | undefined => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name in parentheses may hold anything, spaces and parentheses included: fields are counted behind it.
    const began = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[beganField]
    return began === undefined ? undefined : `${fs.readlinkSync("/proc/self/ns/pid")} ${began}`
  } catch {
    return undefined
  }
}

/** `starttime` is field 22 of proc(5)'s stat; the state, behind the name, is field 3. */
const beganField = 22 - 3
