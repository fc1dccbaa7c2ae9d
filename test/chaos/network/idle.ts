/**
 * Followers that wait (G11): the memory that thousands of them cost, one event that reaches all, and nothing left of
 * them when they are gone. Then a storm of connections that are cut in any state.
 */
import * as net from "node:net"
import type { Random } from "../../support/random.ts"
import { type ServerProcess, startServer } from "../../support/server-process.ts"
import { ask } from "../clients/ask.ts"
import { comes, openFiles, usageOf } from "../harness/looks.ts"
import type { Suite } from "../harness/suite.ts"

const connectionsDefault = 5_000

/** 30 KB for each follower. For few followers, the memory of any server that has done some work. */
const kilobytesMax = 30
const megabytesMin = 40

/**
 * A process keeps the memory of one crowd for the next one. Memory that the next crowd costs on top of it is leaked.
 */
const megabytesLostMax = 20

const deliveredWithin = 10_000
const stormAtOnce = 200

/**
 * The state in which a connection of the storm is cut: while it connects, while it sends its request, while it receives
 * the stored events, while it waits for more.
 */
const stages = ["connecting", "asking", "catching up", "following"] as const

export const idle: Suite = {
  name: "idle",
  about: "5,000 followers wait for one event, and then thousands come and go",
  rounds: 1,
  run: async ({ directory, options: { connections = connectionsDefault }, random, rounds, say }) => {
    const counts: Record<string, number> = {}
    const violations: Array<string> = []
    for (let round = 0; round < rounds && violations.length === 0; round++) {
      const server = await startServer(`${directory}/${round}`)
      try {
        await append(server.port, "quiet", 1)
        const files = openFiles(server.pid)
        const start = await server.residentMegabytes()
        await waitAndMeasure(server, connections, counts, violations)
        await isBack(server, files, "a crowd", violations)
        const kept = await server.residentMegabytes()
        await waitAndMeasure(server, connections, counts, violations)
        await isBack(server, files, "another crowd", violations)
        say(JSON.stringify(counts))
        await storm(server, connections, random.fork(), counts)
        await isBack(server, files, "the storm", violations)
        const lost = await server.residentMegabytes() - kept
        counts["megabytesKept"] = Math.round(kept - start)
        counts["megabytesLost"] = Math.round(lost)
        if (lost > megabytesLostMax) {
          violations.push(`G11: another crowd and a storm cost ${lost.toFixed(1)} MB for good`)
        }
        if (!(await append(server.port, "quiet", 1))) {
          violations.push("G11: no client can append when the followers are gone")
        }
      } finally {
        await server.kill()
      }
      const { log } = server
      if (/unhandled|uncaught|ERROR/i.test(log)) violations.push(`G11: the server says: ${log.slice(0, 1_000)}`)
    }
    return { counts, violations }
  }
}

const waitAndMeasure = async (
  server: ServerProcess,
  count: number,
  counts: Record<string, number>,
  violations: Array<string>
): Promise<void> => {
  const before = await server.residentMegabytes()
  const waiters: Array<Waiter> = []
  while (waiters.length < count) {
    const more = Array.from({ length: Math.min(stormAtOnce, count - waiters.length) }, () => new Waiter(server.port))
    waiters.push(...more)
    await Promise.all(more.map((waiter) => waiter.opened))
  }
  const megabytes = await server.residentMegabytes() - before
  const followers = (await usageOf(server.port))?.followers
  if (followers !== count) violations.push(`G11: ${followers} followers are counted, ${count} are there`)
  await append(server.port, "quiet", 1)
  await comes(() => waiters.every(({ events }) => events > 0), deliveredWithin)
  // If the server sends the event twice, it does so at once.
  await new Promise((resolve) => setTimeout(resolve, 500))
  const delivered = waiters.filter(({ events }) => events === 1).length
  counts["followers"] = (counts["followers"] ?? 0) + count
  counts["delivered"] = (counts["delivered"] ?? 0) + delivered
  counts["missing"] = (counts["missing"] ?? 0) + count - delivered
  counts["megabytes"] = Math.max(counts["megabytes"] ?? 0, Math.round(megabytes))
  if (delivered !== count) violations.push(`P4: ${delivered} of ${count} followers were sent the event once`)
  if (megabytes > Math.max(megabytesMin, kilobytesMax * count / 1024)) {
    violations.push(`G11: ${count} followers cost ${megabytes.toFixed(1)} MB`)
  }
  for (const waiter of waiters) waiter.close()
}

/** A follower from now on, which keeps only the number of its events. */
class Waiter {
  readonly #socket: net.Socket
  /** Whether the server accepted it. */
  readonly opened: Promise<boolean>
  events = 0

  constructor(port: number) {
    this.#socket = net.connect(port, "127.0.0.1")
    this.#socket.write("GET /streams/quiet HTTP/1.1\r\nHost: localhost\r\n\r\n")
    this.opened = new Promise((resolve) => {
      this.#socket.on("error", () => resolve(false)).on("close", () => resolve(false))
      this.#socket.on("data", (bytes) => {
        resolve(true)
        for (let at = -1; (at = bytes.indexOf("\ndata: {\"offset\"", at + 1)) >= 0;) this.events++
      })
    })
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** Makes followers come and go, some hundred at a time. */
const storm = async (
  { port }: ServerProcess,
  count: number,
  random: Random,
  counts: Record<string, number>
): Promise<void> => {
  // Enough events that catching up takes several pieces.
  for (let i = 0; i < 40; i++) await append(port, "storm", 500)
  let left = count
  const client = async (chance: Random) => {
    while (left-- > 0) {
      const stage = chance.pick(stages)
      await passBy(port, stage, chance)
      counts[stage] = (counts[stage] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: stormAtOnce }, () => client(random.fork())))
}

const passBy = (port: number, stage: typeof stages[number], chance: Random): Promise<void> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    const request = chance.pick([
      "GET /streams/storm?offset=-1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /streams/storm/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /v1/stream/storm?offset=now&live=long-poll HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /v1/stream/storm?offset=-1&live=sse HTTP/1.1\r\nHost: localhost\r\n\r\n",
      `POST /streams/stormed HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
      `Content-Length: 10\r\n\r\n{"data":1}`
    ])
    const cut = chance.between(1, request.length - 1)
    const after = chance.between(1, 30)
    const leave = () => setTimeout(() => socket.destroy(), after)
    socket.on("error", () => {})
    socket.on("close", () => resolve())
    socket.on("connect", () => {
      if (stage === "connecting") return void socket.destroy()
      socket.write(stage === "asking" ? request.slice(0, cut) : request)
      if (stage === "asking" || stage === "following") return void leave()
      socket.once("data", () => socket.destroy())
      // A long-poll receives nothing yet.
      leave()
    })
    if (stage === "following") socket.resume()
  })

/** This process keeps a few connections for its next measurement. */
const ourConnections = 4

/** Whether the server has only the resources from before; a stream that was read keeps its file open for a minute. */
const isBack = async (
  { pid, port }: ServerProcess,
  files: number,
  after: string,
  violations: Array<string>
): Promise<void> => {
  const back = await comes(async () => {
    const usage = await usageOf(port)
    return usage?.followers === 0 && usage.connections <= ourConnections && openFiles(pid) <= files + ourConnections
  }, 10_000)
  if (!back) {
    violations.push(
      `G11: after ${after}, ${openFiles(pid)} files (${files} before) and ${JSON.stringify(await usageOf(port))}`
    )
  }
}

const append = async (port: number, stream: string, count: number): Promise<boolean> => {
  const answer = await ask(port, `/streams/${stream}`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: Array.from({ length: count }, (_, i) => `{"i":${i},"text":"${"x".repeat(100)}"}`).join("\n")
  })
  return answer?.status === 201
}
