/**
 * Followers that stop reading (promise 6, G10): their cost for the server in memory, and for other clients in time.
 * Each receives every event when it reads again. A follower that never reads again is dropped, and misses no event when
 * it reconnects.
 */
import * as http from "node:http"
import * as Path from "node:path"
import { type ServerProcess, startServer } from "../../support/server-process.ts"
import { ask } from "../clients/ask.ts"
import { comes, cpuMillis, unsentBytes, usageOf } from "../harness/looks.ts"
import type { Context, Suite } from "../harness/suite.ts"
import { SlowReader } from "./slow-reader.ts"

const followersDefault = 1_000

/** 25 MB, several times over. */
const events = 400
const payloadBytes = 64 * 1024

const megabytesMax = 64
const cpuFactorMax = 1.3

/** The machine has room for the data that this many followers read at once. */
const readingAtOnce = 50

/** Enough for some gigabytes at once, on a machine that is shared. */
const readMillis = 120_000

/**
 * The server drops a follower within twice this time: Node counts from the last check at which the follower had taken
 * some data.
 */
const stallMillis = 2_000
const droppedFollowers = 100

export const stalled: Suite = {
  name: "stalled",
  about: "1,000 followers stop reading: they cost no memory and no time, and miss no event",
  rounds: 1,
  run: async (context) => {
    const { options: { connections = followersDefault }, rounds } = context
    const found = new Found()
    for (let round = 0; round < rounds && found.violations.length === 0; round++) {
      await readOn(context, Path.join(context.directory, `${round}`), connections, found)
      await dropFollowers(
        Path.join(context.directory, `${round}-dropped`),
        Math.min(connections, droppedFollowers),
        found
      )
    }
    return { counts: found.counts, violations: found.violations }
  }
}

class Found {
  readonly counts: Record<string, number> = {}
  readonly violations: Array<string> = []

  add(name: string, count: number): void {
    this.counts[name] = (this.counts[name] ?? 0) + count
  }

  most(name: string, figure: number): void {
    this.counts[name] = Math.max(this.counts[name] ?? -Infinity, figure)
  }
}

/** The followers stop, all events are appended, and they read on. */
const readOn = async ({ options, say }: Context, directory: string, count: number, found: Found): Promise<void> => {
  // The server must not drop a follower before its cost is measured.
  const server = await startServer(directory, "--stall-timeout=10m")
  const { pid, port } = server
  try {
    let tail = await append(port, events)
    const cpuOfAppends = () => leastCpuOf(pid, options.brief ? 1 : times, async () => tail = await append(port, events))
    const before = await server.residentMegabytes()
    // Measured after the memory: that measurement collects garbage, which drops compiled code, and the first appends
    // compile it again.
    const cpuAlone = await cpuOfAppends()
    const readers = await open(port, count, tail)
    const from = tail
    if (readers === undefined) return void found.violations.push(`G10: ${count} followers were not let in`)
    tail = await appendUntilStalled(port, tail)
    say(
      `all followers stand still after ${tail - from} events, ${Math.round(unsentBytes(port) / 1e6)} MB with the system`
    )
    const cpuBeside = await cpuOfAppends()
    const megabytes = await server.residentMegabytes() - before
    say(`${megabytes.toFixed(1)} MB more, ${cpuAlone} ms alone, ${cpuBeside} ms beside them`)
    found.most("megabytes", Math.round(megabytes))
    found.most("cpuPercent", Math.round(cpuBeside / cpuAlone * 100))
    const stalled = (await usageOf(port))?.followers ?? 0
    found.add("stalled", stalled)
    if (stalled !== count) found.violations.push(`G10: ${stalled} of ${count} stand still during the measurement`)
    if (megabytes > megabytesMax) found.violations.push(`G10: they cost ${megabytes.toFixed(1)} MB`)
    // With few followers the measurement says nothing.
    if (!options.brief && cpuBeside > cpuAlone * cpuFactorMax) {
      found.violations.push(`G10: ${events} appends took ${cpuBeside} ms of processor, and ${cpuAlone} ms alone`)
    }
    for (let i = 0; i < readers.length; i += readingAtOnce) {
      const group = readers.slice(i, i + readingAtOnce)
      for (const reader of group) reader.goOn()
      await Promise.all(group.map(async (reader) => {
        const whole = await reader.reaches(tail, readMillis) && reader.fault === undefined
        if (whole) found.add("wentOn", 1)
        else if (reader.fault === undefined && reader.over && await resumes(port, reader, tail)) found.add("dropped", 1)
        else {found.violations.push(
            `P6: a follower from ${from} has come to ${reader.next} of ${tail} (${reader.fault})`
          )}
        reader.close()
      }))
    }
    found.add("delivered", readers.reduce((sum, { next }) => sum + next - from, 0))
    if (!(await comes(async () => (await usageOf(port))?.followers === 0, 10_000))) {
      found.violations.push("G10: followers that are gone are still counted")
    }
  } finally {
    await server.kill()
  }
}

/** The followers stop for good, and the server drops them; each comes back at its position. */
const dropFollowers = async (directory: string, count: number, found: Found): Promise<void> => {
  const server: ServerProcess = await startServer(directory, `--stall-timeout=${stallMillis}ms`)
  const { port } = server
  try {
    const readers = await open(port, count, 0)
    if (readers === undefined) return void found.violations.push(`G10: ${count} followers were not let in`)
    const tail = await appendUntilStalled(port, 0)
    if (!(await comes(async () => (await usageOf(port))?.followers === 0, 2 * stallMillis + 3_000))) {
      found.violations.push(`G10: ${(await usageOf(port))?.followers} followers that read nothing are not dropped`)
    }
    await Promise.all(readers.map(async (reader) => {
      reader.goOn()
      const ended = await reader.ends(10_000)
      if (ended && reader.fault === undefined && await resumes(port, reader, tail)) found.add("dropped", 1)
      else found.violations.push(`P4: a dropped follower has come to ${reader.next} of ${tail} (${reader.fault})`)
      reader.close()
    }))
  } finally {
    await server.kill()
  }
}

/** Whether a follower that comes back behind its last event receives all the others. */
const resumes = async (port: number, reader: SlowReader, tail: number): Promise<boolean> => {
  // The last event may have been cut short: ask for it again.
  const again = new SlowReader(port, stream, Math.max(0, reader.next - 1), payloadBytes)
  const whole = await again.reaches(tail, readMillis) && again.fault === undefined
  again.close()
  return whole
}

/** Opens followers that receive the head of the answer, and read no more. */
const open = async (port: number, count: number, from: number): Promise<ReadonlyArray<SlowReader> | undefined> => {
  const readers: Array<SlowReader> = []
  while (readers.length < count) {
    const more = Array.from(
      { length: Math.min(100, count - readers.length) },
      () => new SlowReader(port, stream, from, payloadBytes)
    )
    const statuses = await Promise.all(more.map((reader) => reader.opened()))
    for (const reader of more) reader.stall()
    readers.push(...more)
    if (statuses.some((status) => status !== 200)) return undefined
  }
  return readers
}

/** Appends until the system takes no more data for any follower. Returns the tail. */
const appendUntilStalled = async (port: number, from: number): Promise<number> => {
  let tail = from
  let unsent = -1
  while (true) {
    tail = await append(port, 16)
    await new Promise((resolve) => setTimeout(resolve, 200))
    const now = unsentBytes(port)
    if (now <= unsent * 1.01 || tail - from > 2_000) return tail
    unsent = now
  }
}

const stream = "s"
const body = `{"data":"${"x".repeat(payloadBytes)}"}`
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 })

/** Appends `count` events, four at a time. Returns the tail. */
const append = async (port: number, count: number): Promise<number> => {
  let left = count
  let tail = 0
  const appender = async () => {
    while (left-- > 0) {
      const answer = await ask(port, `/streams/${stream}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        agent
      })
      if (answer?.status !== 201) throw new Error(`Not appended: ${answer?.status} ${answer?.text}`)
      tail = Math.max(tail, Number(answer.text.slice(`{"offset":"`.length, `{"offset":"`.length + 16)) + 1)
    }
  }
  await Promise.all(Array.from({ length: 4 }, appender))
  return tail
}

/**
 * Enough repetitions for the compiler to finish: the first took twice as long as the last, with and without followers.
 */
const times = 6

/**
 * Returns the lowest of several measurements: garbage collection, compiling or a round of keep-alives is not the cost
 * of the appends.
 */
const leastCpuOf = async (pid: number, times: number, run: () => Promise<unknown>): Promise<number> => {
  let least = Infinity
  for (let time = 0; time < times; time++) {
    const from = cpuMillis(pid)
    await run()
    least = Math.min(least, cpuMillis(pid) - from)
  }
  return least
}
