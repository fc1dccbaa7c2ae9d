/**
 * The known weaknesses of the protocol's reference server, tested on any server through the protocol. Our server must
 * show none of them. Against the reference server (`--spawn`), the same probes must find at least eight; otherwise the
 * harness is blind.
 */
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as Path from "node:path"
import { residentBytes } from "../../support/memory.ts"
import { ServerProcess } from "../../support/server-process.ts"
import { kill9 } from "../crashes/kill9.ts"
import type { Context, Suite } from "../harness/suite.ts"
import { ask } from "./ask.ts"
import { protocolDoor, protocolPath } from "./doors.ts"

/** The number of these weaknesses that the reference server has for certain. */
const foundMin = 8

const json = { "content-type": "application/json" }

export const weaknesses: Suite = {
  name: "weaknesses",
  about:
    "the reference server's known weaknesses: our server has none; with --spawn, the suite finds them in another server",
  rounds: 30,
  run: async (context) => {
    const found: Array<string> = []
    const left: Array<string> = []
    for (const [id, probe] of Object.entries(probes)) {
      const directory = Path.join(context.directory, id)
      const server = await ServerProcess.make(directory, context.options.spawn)
      await server.start()
      const what = await probe(server, { ...context, directory })
      await server.kill()
      context.say(`${id} ${typeof what === "object" ? what.left : what ?? "not found"}`)
      if (typeof what === "object") left.push(`${id}: ${what.left}`)
      else if (what !== undefined) found.push(`${id} ${what}`)
    }
    const asked = Object.keys(probes).length - left.length
    const counts = { asked, notAsked: left.length, found: found.length }
    if (context.options.spawn === undefined) return { counts, violations: found, left }
    const violations = found.length >= foundMin
      ? []
      : [`of ${asked} known weaknesses ${found.length} were found, and ${foundMin} are there for certain`]
    return { counts, violations }
  }
}

/** Returns a sentence for a weakness, undefined if there is none, and `left` for a probe that cannot run here. */
type Probe = (server: ServerProcess, context: Context) => Promise<string | undefined | { readonly left: string }>

const create = (port: number, name: string) => ask(port, protocolPath(name), { method: "PUT", headers: json })

const append = (port: number, name: string, body: string, headers: Readonly<Record<string, string>> = {}) =>
  ask(port, protocolPath(name), { method: "POST", headers: { ...json, ...headers }, body })

const keys = (port: number, name: string) => protocolDoor.read(port, name, 0)

const probes: Readonly<Record<string, Probe>> = {
  D1: async (_server, context) => {
    const outcome = await kill9.run({ ...context, directory: Path.join(context.directory, "kills") })
    if ("skipped" in outcome) return { left: outcome.skipped }
    const { left = [], violations } = outcome
    if (violations.length > 0) return `${context.rounds} kills: ${violations[0]}`
    return left.length > 0 ? { left: left.join("; ") } : undefined
  },

  D2: async (server) => {
    const { port } = server
    await create(port, "torn")
    await append(port, "torn", `{"key":"before"}`)
    const under = fs.readdirSync(server.directory, { recursive: true, encoding: "utf8" })
    // A write that the kill cut: the state that a process leaves if it dies within a write.
    await server.kill()
    const [log] = under.map((file) => Path.join(server.directory, file)).filter((file) =>
      fs.statSync(file).isFile() && fs.readFileSync(file).includes(`"before"`)
    )
    if (log === undefined) return undefined
    fs.appendFileSync(log, Buffer.concat([Buffer.from([0, 0, 0, 60]), Buffer.from(`{"key":"torn`)]))
    await server.start()
    const acknowledged: Array<string> = []
    for (const key of ["one", "two", "three"]) {
      const answer = await append(port, "torn", `{"key":"${key}"}`)
      if (answer !== undefined && answer.status < 300) acknowledged.push(key)
    }
    const contents = await keys(port, "torn").catch(() => undefined)
    const seen = contents?.events.map(({ key }) => key) ?? []
    const lost = acknowledged.filter((key) => !seen.includes(key))
    return lost.length === 0
      ? undefined
      : `${lost.length} of ${acknowledged.length} acknowledged behind a torn write cannot be read`
  },

  D3: async ({ port }, { rounds }) => {
    let undone = 0
    for (let round = 0; round < rounds; round++) {
      const name = `closed-${round}`
      await create(port, name)
      const appends = Array.from({ length: 8 }, (_, i) => append(port, name, `{"key":"${i}"}`))
      const closed = await protocolDoor.close(port, name)
      await Promise.all(appends)
      const head = await ask(port, protocolPath(name), { method: "HEAD" })
      if (closed.outcome === "ok" && head?.headers["stream-closed"] !== "true") undone++
    }
    return undone === 0 ? undefined : `${undone} of ${rounds} acknowledged closes were undone`
  },

  D4: async ({ port }, { rounds }) => {
    let back = 0
    for (let round = 0; round < rounds; round++) {
      const name = `deleted-${round}`
      await create(port, name)
      const appends = Array.from(
        { length: 8 },
        (_, i) => orAfter(hangMillis, append(port, name, `{"key":"${i}"}`).then(() => true))
      )
      const deleted = await protocolDoor.delete(port, name)
      const hung = (await Promise.all(appends)).filter((answered) => answered !== true).length
      if (hung > 0) return `${hung} of 8 appends beside a delete are not answered in ${hangMillis} ms`
      const head = await orAfter(hangMillis, ask(port, protocolPath(name), { method: "HEAD" }))
      if (deleted.outcome === "ok" && head?.status === 200) back++
    }
    return back === 0 ? undefined : `${back} of ${rounds} acknowledged deletes were undone`
  },

  D5: async ({ port }) => {
    await create(port, "last")
    await append(port, "last", `{"key":"first"}`)
    const head = await ask(port, protocolPath("last"), { method: "HEAD" })
    const offset = String(head?.headers["stream-next-offset"])
    const waiting = ask(port, `${protocolPath("last")}?live=long-poll&offset=${encodeURIComponent(offset)}`)
    await until(50)
    await append(port, "last", `{"key":"final"}`, { "stream-closed": "true" })
    const answer = await waiting
    return answer?.text.includes("final") === true
      ? undefined
      : `the last event was not given to who waited (${answer?.status})`
  },

  D6: async ({ port }) => {
    const count = 150
    let refused = 0
    const names = Array.from({ length: count }, (_, i) => `many-${i}`)
    await Promise.all(names.map((name) => create(port, name)))
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(names.map((name) => append(port, name, `{"key":"${round}"}`)))
      refused += answers.filter((answer) => answer === undefined || answer.status >= 300).length
    }
    return refused === 0 ? undefined : `${refused} of ${3 * count} appends to ${count} streams were refused`
  },

  D8: async (server) => {
    const { directory, port } = server
    await server.kill()
    fs.mkdirSync(directory, { recursive: true })
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m,mode=0700", "chaos", directory])
    if (status !== 0) return { left: "needs CAP_SYS_ADMIN" }
    try {
      await server.start()
      await create(port, "full")
      const filler = Path.join(directory, "filler")
      fs.writeFileSync(filler, Buffer.alloc(2 * 1024 * 1024))
      const body = `{"key":"${"x".repeat(100_000)}"}`
      for (let i = 0; i < 60; i++) {
        const answer = await append(port, "full", body)
        if (answer === undefined || answer.status >= 300) break
      }
      fs.rmSync(filler)
      await until(1_000)
      const answer = await append(port, "full", `{"key":"after"}`)
      return answer !== undefined && answer.status < 300
        ? undefined
        : `a second after space is back appends are still refused (${answer?.status})`
    } finally {
      await server.kill()
      execFileSync("umount", [directory])
    }
  },

  D9: async (server, { directory, options }) => {
    const second = await ServerProcess.make(Path.join(directory, "second"), options.spawn)
    fs.rmSync(second.directory, { recursive: true, force: true })
    fs.symlinkSync(server.directory, second.directory)
    const started = await second.start().then(() => true, () => false)
    await second.kill()
    return started ? "two servers run on one data directory" : undefined
  },

  D10: async (server) => {
    const { port } = server
    await create(port, "stalled")
    const before = residentBytes(server.pid)
    const sockets = await Promise.all(Array.from({ length: 50 }, () => stalledFollower(port, "stalled")))
    const body = `{"key":"${"x".repeat(64 * 1024)}"}`
    for (let i = 0; i < 200; i++) await append(port, "stalled", body)
    const grown = (residentBytes(server.pid) - before) / 2 ** 20
    for (const socket of sockets) socket.destroy()
    return grown <= 128 ? undefined : `50 stalled followers and 12.5 MB of events take ${Math.round(grown)} MB`
  },

  D14: async ({ port }) => {
    await create(port, "producers")
    const headers = { "producer-id": "__proto__", "producer-epoch": "0", "producer-seq": "0" }
    const answer = await append(port, "producers", `{"key":"a"}`, headers)
    return answer !== undefined && answer.status < 300
      ? undefined
      : `a producer called __proto__ is refused (${answer?.status})`
  },

  D15: async ({ port }) => {
    const read = async (key: string) => {
      await create(port, "namesake")
      await append(port, "namesake", `{"key":"${key}"}`)
      return ask(port, `${protocolPath("namesake")}?offset=-1`)
    }
    const first = await read("one")
    await protocolDoor.delete(port, "namesake")
    await read("two")
    const etag = String(first?.headers["etag"])
    const again = await ask(port, `${protocolPath("namesake")}?offset=-1`, { headers: { "if-none-match": etag } })
    return first?.headers["etag"] !== undefined && again?.status === 304
      ? "a deleted stream's ETag fits its namesake"
      : undefined
  },

  D17: async ({ port }) => {
    await create(port, "verbatim")
    await append(port, "verbatim", "[12345678901234567890]")
    const answer = await ask(port, `${protocolPath("verbatim")}?offset=-1`)
    return answer?.text.includes("12345678901234567890") === true
      ? undefined
      : `a large number is kept as ${answer?.text}`
  },

  D18: async ({ port }) => {
    const deep = await append(port, "verbatim", `${"[".repeat(100_000)}${"]".repeat(100_000)}`)
    const long = await create(port, "n".repeat(10_000))
    const failed = [deep, long].filter((answer) => answer === undefined || answer.status >= 500).length
    return failed === 0 ? undefined : `${failed} of 2 bad requests are answered with 500, or not at all`
  }
}

const until = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

/** An append takes milliseconds; on a machine that is busy with other work, some hundred. */
const hangMillis = 5_000

const orAfter = <A>(millis: number, answer: Promise<A>): Promise<A | undefined> =>
  Promise.race([answer, until(millis).then(() => undefined)])

/** Connects a follower that reads nothing. */
const stalledFollower = (port: number, name: string): Promise<net.Socket> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.pause()
      socket.write(`GET ${protocolPath(name)}?offset=-1&live=sse HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`, () =>
        resolve(socket))
    })
    socket.once("error", reject)
    socket.on("error", () => {})
  })
