/**
 * The memory of a process as the kernel counts it (proc(5)).
 */
import * as fs from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { pathToFileURL } from "node:url"

/** The bytes that it has resident now. */
export const residentBytes = (pid: number): number => field(pid, "VmRSS")

/** The most that it has had since its peak was reset. */
export const peakBytes = (pid: number): number => field(pid, "VmHWM")

export const forgetPeak = (pid: number): void => fs.writeFileSync(`/proc/${pid}/clear_refs`, "5")

/** The bytes that a process keeps after a collection of its garbage, and the number of its timers. */
export interface Kept {
  readonly resident: number
  /** The part of them that its own objects take. */
  readonly used: number
  readonly timers: number
}

/**
 * With this in its environment a server reports the memory it keeps, in that file. Blocks of a page and more go back to
 * the system as soon as they are freed (mallopt(3)), so that resident memory is memory in use.
 */
export const tells = (path: string): Readonly<Record<string, string>> => ({
  CHAOS_TELLS: path,
  MALLOC_MMAP_THRESHOLD_: "4096",
  NODE_OPTIONS: `--import ${pathToFileURL(import.meta.dirname)}/tells.ts`
})

/** Makes the process collect its garbage, and returns the memory that is left. */
export const keptBy = async (pid: number, path: string): Promise<Kept> => {
  fs.rmSync(path, { force: true })
  process.kill(pid, "SIGUSR2")
  while (!fs.existsSync(path)) await sleep(10)
  return JSON.parse(fs.readFileSync(path, "utf8"))
}

const field = (pid: number, name: string): number => {
  const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  if (kilobytes === undefined) throw new Error(`The kernel does not tell ${name} of ${pid}.`)
  return Number(kilobytes) * 1024
}
