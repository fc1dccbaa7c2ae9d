/**
 * The memory of a process as the kernel counts it (proc(5)).
 */
import * as fs from "node:fs"

/** Bytes that it has resident now. */
export const residentBytes = (pid: number): number => field(pid, "VmRSS")

/** The most that it has had since the peak was forgotten. */
export const peakBytes = (pid: number): number => field(pid, "VmHWM")

export const forgetPeak = (pid: number): void => fs.writeFileSync(`/proc/${pid}/clear_refs`, "5")

const field = (pid: number, name: string): number => {
  const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  if (kilobytes === undefined) throw new Error(`The kernel does not tell ${name} of ${pid}.`)
  return Number(kilobytes) * 1024
}
