/**
 * Real pages in Chromium, each with its own origin, try every way in against a local server. A decoy server that
 * accepts everything shows that every way was really tried; a page from an allowed origin shows that the ways work.
 */
import { once } from "node:events"
import * as http from "node:http"
import * as net from "node:net"
import * as Path from "node:path"
import { Pages } from "../../support/pages.ts"
import { ServerProcess } from "../../support/server-process.ts"
import { ask } from "../clients/ask.ts"
import { difference, footprint } from "../harness/footprint.ts"
import type { Outcome } from "../harness/suite.ts"
import { page, ways } from "./access-page.ts"

const secret = "what no page may read"

interface Read {
  readonly by: string
  readonly text: string
}

export const tryInBrowser = async (directory: string, say: (text: string) => void): Promise<Outcome> => {
  const violations: Array<string> = []
  const pages = await startPages()
  const server = await ServerProcess.make(directory)
  const friend = `http://friend.test:${pages.port}`
  await server.start({ flags: [`--cors-origin=${friend}`] })
  const { port } = server
  for (const name of ["secret", "doomed"]) await write(port, name)
  await ask(port, "/v1/stream/__ds/jwks.json")
  const before = await footprint(port, server.directory, "nothing")
  const decoy = await Decoy.start()
  const rebound = await startRebinding(port)
  const evil = `http://evil.test:${pages.port}`
  /** Returns the text of each answer that the page could read; nothing if the page did not report in time. */
  const open = async (
    title: string,
    origin: string,
    query: Readonly<Record<string, string>>
  ): Promise<ReadonlyArray<Read>> => {
    say(title)
    const report = `http://report.test:${pages.port}/report`
    const url = `${origin}/page?${new URLSearchParams({ ...query, report })}`
    return (await pages.open(Path.join(directory, "browser"), url) ?? []) as ReadonlyArray<Read>
  }

  await open("a server that takes everything", evil, { base: `http://127.0.0.1:${decoy.port}` })
  for (const by of ways) if (!decoy.seen.has(by)) violations.push(`${by} never sent a request, so it proves nothing`)

  const attacks: ReadonlyArray<readonly [title: string, origin: string, query: Readonly<Record<string, string>>]> = [
    ["another origin, to 127.0.0.1", evil, { base: `http://127.0.0.1:${port}` }],
    ["another origin, to localhost", evil, { base: `http://localhost:${port}` }],
    ["another origin, to its own name", evil, { base: `http://evil.test:${port}` }],
    ["a name below localhost", `http://evil.localhost:${pages.port}`, { base: `http://localhost:${port}` }],
    ["a page in a sandbox", evil, { base: `http://127.0.0.1:${port}`, sandbox: "" }],
    ["a page whose name is bound to us later", `http://rebind.test:${port}`, { rebind: "" }]
  ]
  let tries = 0
  for (const [title, origin, query] of attacks) {
    const found = await open(title, origin, query)
    tries += found.length
    if (found.length !== ways.length) violations.push(`${title}: ${found.length} of ${ways.length} ways were reported`)
    for (const { by, text } of found) {
      const isRefusal = text === "" || text.includes("urn:durable-streams:AccessRefused")
      if (!isRefusal || text.includes(secret)) {
        violations.push(`${title}: ${by} has read ${JSON.stringify(text.slice(0, 200))}`)
      }
    }
    // The page that shares our origin may read the refusal, and that shows that its request reached the server.
    const isReached = found.some(({ text }) => text.includes("AccessRefused"))
    if ("rebind" in query && !isReached) violations.push(`${title}: no request reached the server`)
    const changed = difference(before, await footprint(port, server.directory, "nothing"))
    if (changed !== undefined) violations.push(`${title}: the page changed data: ${changed}`)
  }

  const allowed = await open("an allowed page", friend, { base: `http://127.0.0.1:${port}` })
  for (const by of ["fetch", "fetch-protocol", "xhr", "eventsource"]) {
    if (!allowed.some((read) => read.by === by && read.text.includes(secret))) {
      violations.push(`The allowed page did not read by ${by}`)
    }
  }
  const written = await ask(port, "/streams/secret/events")
  if (written?.text.includes(`"data":"evil"`) !== true) violations.push("The allowed page did not write")
  const deleted = await ask(port, "/streams/doomed/events")
  if (deleted?.status !== 404) violations.push("The allowed page did not delete")

  for (const listener of [rebound, decoy.server, pages.server]) listener.close()
  await server.kill()
  return {
    counts: {
      pages: attacks.length,
      tries,
      ways: ways.length,
      readByTheAllowed: allowed.filter(({ text }) => text !== "").length
    },
    violations
  }
}

const write = (port: number, name: string) =>
  ask(port, `/streams/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ data: secret })
  })

/** Serves the page at `/page`, in a sandbox if the query asks for one. */
const startPages = () =>
  Pages.start(({ pathname, searchParams }) => {
    if (pathname !== "/page") return undefined
    const sandbox = searchParams.has("sandbox")
      ? { "content-security-policy": "sandbox allow-scripts allow-forms" }
      : undefined
    return { headers: { "content-type": "text/html", ...sandbox }, body: page }
  })

/** Accepts every request, and remembers which ways (`by`) sent one. */
class Decoy {
  readonly server: http.Server
  readonly port: number
  readonly seen: ReadonlySet<string>

  private constructor(server: http.Server, port: number, seen: ReadonlySet<string>) {
    this.server = server
    this.port = port
    this.seen = seen
  }

  static async start(): Promise<Decoy> {
    const seen = new Set<string>()
    const note = ({ url }: http.IncomingMessage) => seen.add(new URL(url!, "http://here").searchParams.get("by") ?? "")
    const server = http.createServer((request, response) => {
      note(request)
      response.end("taken")
    })
    server.on("upgrade", (request, socket) => {
      note(request)
      socket.destroy()
    })
    return new Decoy(server, await listen(server, 0, "127.0.0.1"), seen)
  }
}

/**
 * The server behind a name that is bound again: at first it forwards to a server with a page, and after `/rebind` to
 * the server on the same port of 127.0.0.1. The browser sees one origin throughout.
 */
const startRebinding = async (port: number): Promise<net.Server> => {
  let isBound = false
  const listener = net.createServer((socket) => {
    socket.on("error", () => {})
    if (isBound) {
      const server = net.connect(port, "127.0.0.1")
      server.on("error", () => socket.destroy())
      socket.on("close", () => server.destroy())
      socket.pipe(server)
      server.pipe(socket)
      return
    }
    socket.once("data", (bytes) => {
      isBound ||= bytes.toString("latin1").startsWith("GET /rebind ")
      socket.end(
        `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${
          Buffer.byteLength(page)
        }\r\nConnection: close\r\n\r\n${page}`
      )
    })
  })
  await listen(listener, port, "127.0.0.2")
  return listener
}

const listen = async (server: net.Server, port: number, host: string): Promise<number> => {
  server.listen(port, host)
  await once(server, "listening")
  return (server.address() as net.AddressInfo).port
}
