/**
 * Measurements of a process and its connections from outside (proc(5)).
 */
import * as fs from "node:fs"
import { ask } from "../clients/ask.ts"

/** Ticks a second of the kernel's clock (sysconf(3), `_SC_CLK_TCK`), on every Linux. */
const ticksASecond = 100

/** Returns the processor time of a process, its own and the kernel's for it, in milliseconds. */
export const cpuMillis = (pid: number): number => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1")
  const [utime, stime] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13)
  return (Number(utime) + Number(stime)) * 1000 / ticksASecond
}

export const openFiles = (pid: number): number => fs.readdirSync(`/proc/${pid}/fd`).length

/** Returns the bytes that the server has written to a port's connections and the clients have not taken. */
export const unsentBytes = (port: number): number => {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  let sum = 0
  for (const line of fs.readFileSync("/proc/net/tcp", "latin1").split("\n")) {
    const [, address, , , queues] = line.trim().split(/\s+/)
    if (address?.endsWith(local) === true) sum += Number.parseInt(queues!.split(":")[0]!, 16)
  }
  return sum
}

export interface Usage {
  readonly connections: number
  readonly followers: number
  readonly awakeStreams: number
  readonly streams: number
}

/** Returns the open resources that the server reports; undefined if it reports none. */
export const usageOf = async (port: number): Promise<Usage | undefined> => {
  const answer = await ask(port, "/health")
  return answer?.status === 200 ? (JSON.parse(answer.text) as { readonly usage: Usage }).usage : undefined
}

/** Waits until the condition holds; false if it does not in time. */
export const comes = async (isSo: () => boolean | Promise<boolean>, millis: number): Promise<boolean> => {
  const until = performance.now() + millis
  while (!(await isSo())) {
    if (performance.now() > until) return false
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return true
}
