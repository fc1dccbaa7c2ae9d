/**
 * Bodies that are far too large, in every form in which they can arrive, and millions of events or pieces in a body
 * within the limit. For a refused body the server grows by twice its limit at most, it answers, and a healthy client
 * goes on.
 */
import { gzipSync } from "node:zlib"
import { forgetPeak, peakBytes, residentBytes } from "../../support/memory.ts"
import { ServerProcess } from "../../support/server-process.ts"
import type { Reply } from "../../support/wire.ts"
import { json, request, Wire } from "../../support/wire.ts"
import { Healthy, healthyStream } from "../clients/healthy.ts"
import { difference, footprint } from "../harness/footprint.ts"
import type { Outcome } from "../harness/suite.ts"

const mebi = 1024 * 1024
const bodyBytesMax = 64 * mebi

/** A healthy client waits while the server checks and keeps one body. */
const healthyMillisMax = 5_000

export const sendLarge = async (
  directory: string,
  say: (text: string) => void,
  takes: (title: string) => boolean = () => true
): Promise<Outcome> => {
  const violations: Array<string> = []
  const counts: Record<string, number> = {}
  const server = await ServerProcess.make(directory)
  await server.start({ flags: [`--max-body=${bodyBytesMax}`] })
  const healthy = new Healthy(server.port, 0, healthyMillisMax)
  const before = await footprint(server.port, server.directory, healthyStream)
  let most = 0
  const taken = bodies.filter(({ title }) => takes(title))
  for (const large of taken) {
    forgetPeak(server.pid)
    const resident = residentBytes(server.pid)
    const reply = await send(server.port, large)
    const grown = peakBytes(server.pid) - resident
    say(`${large.title}: ${reply?.status}, ${Math.round(grown / mebi)} MiB more than ${Math.round(resident / mebi)}`)
    if (reply?.status !== large.status) violations.push(`${large.title}: answered with ${reply?.status}`)
    // The server keeps an accepted body for readers, too.
    if (large.status >= 400) {
      most = Math.max(most, grown)
      if (grown > 2 * bodyBytesMax) {
        violations.push(`${large.title}: the server grew by ${Math.round(grown / mebi)} MiB`)
      }
      const changed = difference(before, await footprint(server.port, server.directory, healthyStream))
      if (changed !== undefined) violations.push(`${large.title}: the server kept data: ${changed}`)
    }
  }
  await healthy.stop()
  violations.push(...healthy.violations)
  await server.kill()
  counts["largeBodies"] = taken.length
  counts["grownMiB"] = Math.round(most / mebi)
  counts["slowestBesideLargeMillis"] = Math.round(healthy.slowestMillis)
  return { counts, violations }
}

interface Large {
  readonly title: string
  readonly head: string
  /** The pieces, sent one after the other for as long as the server reads them. */
  readonly pieces: Iterable<Uint8Array>
  readonly status: number
}

const head = (method: string, target: string, headers: Readonly<Record<string, string>> = {}) =>
  request(method, target, headers).toString()

const ndjson = { "Content-Type": "application/x-ndjson" }
const chunked = { "Transfer-Encoding": "chunked" }
const length = (bytes: number) => ({ "Content-Length": String(bytes) })
const piece = Buffer.alloc(mebi, "1")

/** One long line of `bytes` bytes, in chunks or plain. */
function* line(bytes: number, isChunked: boolean): Iterable<Uint8Array> {
  for (let sent = 0; sent < bytes; sent += piece.length) {
    if (isChunked) yield Buffer.from(`${piece.length.toString(16)}\r\n`)
    yield piece.subarray(0, bytes - sent)
    if (isChunked) yield Buffer.from("\r\n")
  }
  if (isChunked) yield Buffer.from("0\r\n\r\n")
}

/** One event of exactly the limit, and `more` bytes. */
const makeFitting = (stream: string, more = 0): Large => ({
  title: `a body of the limit and ${more} bytes`,
  head: head("POST", `/streams/${stream}`, { ...json, ...length(bodyBytesMax + more) }),
  pieces: [Buffer.from(`{"data":"${"x".repeat(bodyBytesMax + more - `{"data":""}`.length)}"}`)],
  status: more === 0 ? 201 : 413
})

const millionOf = (text: string): Buffer => Buffer.alloc(1_000_000 * text.length, text)

const bodies: ReadonlyArray<Large> = [
  makeFitting("bad", 1),
  ...[600, 100].flatMap((size): ReadonlyArray<Large> => [
    {
      title: `${size} MiB in chunks`,
      head: head("POST", "/streams/bad", { ...ndjson, ...chunked }),
      pieces: line(size * mebi, true),
      status: 413
    },
    {
      title: `${size} MiB that are announced`,
      head: head("POST", "/streams/bad", { ...ndjson, ...length(size * mebi) }),
      pieces: line(size * mebi, false),
      status: 413
    },
    {
      title: `${size} MiB through the protocol`,
      head: head("PUT", "/v1/stream/bad", { "Content-Type": "text/plain", ...chunked }),
      pieces: line(size * mebi, true),
      status: 413
    }
  ]),
  {
    title: "600 MiB after a question (Expect: 100-continue)",
    head: head("POST", "/streams/bad", { ...json, ...length(600 * mebi), Expect: "100-continue" }),
    pieces: [],
    status: 413
  },
  {
    title: "a subscription of 100 MiB",
    head: head("PUT", "/v1/stream/__ds/subscriptions/bad", { ...json, ...chunked }),
    pieces: line(100 * mebi, true),
    status: 413
  },
  {
    title: "10^6 lines beyond the limit",
    head: head("POST", "/streams/bad", { ...ndjson, ...length(70_000_000) }),
    pieces: [millionOf(`"${"x".repeat(67)}"\n`)],
    status: 413
  },
  {
    title: "10^6 lines",
    head: head("POST", "/streams/bad", { ...ndjson, ...length(2_000_000) }),
    pieces: [millionOf("1\n")],
    status: 400
  },
  {
    title: "3 * 10^7 lines",
    head: head("POST", "/streams/bad", { ...ndjson, ...length(60_000_000) }),
    pieces: Array.from({ length: 30 }, () => millionOf("1\n")),
    status: 400
  },
  {
    title: "3 * 10^7 messages",
    head: head("PUT", "/v1/stream/bad", { ...json, ...length(60_000_002) }),
    pieces: [Buffer.from("["), ...Array.from({ length: 30 }, () => millionOf("1,")), Buffer.from("]")],
    status: 400
  },
  {
    title: "10^6 chunks of a byte",
    head: head("POST", "/streams/bad", { ...json, ...chunked }),
    pieces: [millionOf("1\r\n \r\n"), Buffer.from("0\r\n\r\n")],
    status: 400
  },
  {
    title: "what gzip makes of 100 MiB",
    head: head("POST", "/streams/bad", { ...json, ...chunked, "Content-Encoding": "gzip" }),
    pieces: [
      Buffer.from("10000\r\n"),
      gzipSync(Buffer.alloc(100 * mebi)).subarray(0, 0x10000),
      Buffer.from("\r\n0\r\n\r\n")
    ],
    status: 415
  },
  makeFitting("large"),
  {
    title: "as many lines as there may be",
    head: head("POST", "/streams/many", { ...ndjson, ...length(65_536) }),
    pieces: [Buffer.alloc(65_536, "1\n")],
    status: 201
  }
]

/** Returns the head of the answer; undefined if there is none. It does not wait for the rest, which may be large. */
const send = async (port: number, { head, pieces }: Large): Promise<Pick<Reply, "status"> | undefined> => {
  const wire = await Wire.open(port)
  const { socket } = wire.send(head)
  let over = false
  const reply = wire.head().catch(() => undefined).finally(() => {
    over = true
  })
  for (const bytes of pieces) {
    if (over) break
    if (socket.write(bytes)) continue
    await Promise.race([reply, new Promise((resolve) => socket.once("drain", resolve))])
  }
  const answer = await reply
  wire.close()
  return answer
}
