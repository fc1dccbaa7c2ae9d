/**
 * Clients that send too slowly (G12): headers and bodies a byte a second, and nothing at all. The server closes each in
 * time, and meanwhile serves a healthy client as if they were not there.
 */
import * as http from "node:http"
import * as net from "node:net"
import { ServerProcess } from "../../support/server-process.ts"
import { ask } from "../clients/ask.ts"
import { comes, openFiles, usageOf } from "../harness/looks.ts"
import type { Context, Suite } from "../harness/suite.ts"

/** The number of connections of each kind. */
const connectionsDefault = 1_000

/**
 * The limits of a server with default options (docs/decisions/0010-limits.md), plus the second between two of its
 * checks.
 */
const headersWithin = 15_000
const requestWithin = 35_000

/** The limits of the short form, given by flags. */
const brief = {
  flags: ["--header-timeout=1s", "--request-timeout=3s"],
  headersWithin: 5_000,
  requestWithin: 8_000,
  healthyWithin: 5_000
}

/** A healthy append takes milliseconds; two thousand sockets of others may make it tens. */
const healthyWithin = 1_000

interface Kind {
  readonly name: string
  /** `begin` is sent at once, and then `byte` every second. */
  readonly begin: string
  readonly byte: string
  readonly within: number
}

const kindsWith = (headersWithin: number, requestWithin: number): ReadonlyArray<Kind> => [
  {
    name: "headers",
    begin: "POST /streams/slow HTTP/1.1\r\nHost: localhost\r\nX-A: ",
    byte: "a",
    within: headersWithin
  },
  {
    name: "bodies",
    begin: "POST /streams/slow HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
      `Content-Length: 100000\r\n\r\n{"data":"`,
    byte: "x",
    within: requestWithin
  },
  { name: "silent", begin: "", byte: "", within: headersWithin }
]

export const slowloris: Suite = {
  name: "slowloris",
  about: "headers and bodies that never end: the server closes them in time, and no other client waits",
  rounds: 1,
  run: async (context) => {
    const { directory, options, rounds } = context
    const { connections = connectionsDefault } = options
    const limits = options.brief ? brief : { flags: [], headersWithin, requestWithin, healthyWithin }
    const kinds = kindsWith(limits.headersWithin, limits.requestWithin)
    const counts: Record<string, number> = {}
    const violations: Array<string> = []
    for (let round = 0; round < rounds && violations.length === 0; round++) {
      const server = await ServerProcess.make(`${directory}/${round}`)
      await server.start({ flags: limits.flags })
      const filesBefore = openFiles(server.pid)
      let over = false
      const healthy = appendOften(server.port, () => over)
      await Promise.all(kinds.map(async (kind) => {
        // A tenth of the connections is enough for the silent kind.
        const clients = await crowd(context, server.port, kind, kind.begin === "" ? connections / 10 : connections)
        const lives = await Promise.all(clients)
        const longest = Math.round(Math.max(...lives))
        counts[`${kind.name}Closed`] = (counts[`${kind.name}Closed`] ?? 0) + lives.length
        counts[`${kind.name}MsMax`] = Math.max(counts[`${kind.name}MsMax`] ?? 0, longest)
        if (longest > kind.within) violations.push(`G12: ${kind.name} were open for ${longest} ms`)
      }))
      over = true
      const { failed, millisMax, served } = await healthy
      counts["served"] = (counts["served"] ?? 0) + served
      counts["servedMsMax"] = Math.max(counts["servedMsMax"] ?? 0, Math.round(millisMax))
      if (failed > 0) violations.push(`G12: ${failed} of ${failed + served} healthy appends were not served`)
      if (served === 0) violations.push("G12: no healthy append was served")
      if (millisMax > limits.healthyWithin) violations.push(`G12: a healthy append took ${Math.round(millisMax)} ms`)
      const isOver = async () =>
        (await usageOf(server.port))?.connections === 1 && openFiles(server.pid) <= filesBefore + 3
      if (!(await comes(isOver, 5_000))) {
        violations.push(`G12: ${openFiles(server.pid)} descriptors are open, ${filesBefore} were before`)
      }
      const slow = await ask(server.port, "/streams/slow/events")
      if (slow?.status !== 404) violations.push("P11: an unfinished request left a stream behind")
      await server.kill()
    }
    return { counts, violations }
  }
}

/**
 * Opens `count` connections. Each resolves with the milliseconds that it was open, or with twice its limit if the
 * server did not close it.
 */
const crowd = async ({ random }: Context, port: number, kind: Kind, count: number) => {
  const lives: Array<Promise<number>> = []
  const chance = random.fork()
  for (let i = 0; i < count; i++) {
    lives.push(slowClient(port, kind, chance.between(800, 1_200)))
    // As many connections as the system's queue holds, so that none is refused.
    if (i % 200 === 199) await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return lives
}

const slowClient = (port: number, { begin, byte, within }: Kind, everyMillis: number): Promise<number> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1")
    let from = performance.now()
    const timer = setInterval(() => {
      if (performance.now() - from > 2 * within) socket.destroy()
      else if (byte !== "" && socket.writable) socket.write(byte)
    }, everyMillis)
    socket.on("connect", () => {
      from = performance.now()
      if (begin !== "") socket.write(begin)
    })
    socket.on("data", () => {})
    socket.on("error", () => {})
    socket.on("close", () => {
      clearInterval(timer)
      resolve(performance.now() - from)
    })
  })

/** Appends ten times a second, each time on a new connection. */
const appendOften = async (port: number, isOver: () => boolean) => {
  const found = { served: 0, failed: 0, millisMax: 0 }
  const agent = new http.Agent({ keepAlive: false })
  while (!isOver()) {
    const from = performance.now()
    const answer = await ask(port, "/streams/healthy", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"data":${found.served}}`,
      agent
    })
    found.millisMax = Math.max(found.millisMax, performance.now() - from)
    if (answer?.status === 201) found.served++
    else found.failed++
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return found
}
