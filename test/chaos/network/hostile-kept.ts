/**
 * Strange but valid names and data: the server keeps them byte for byte, lists them, serves them through both doors and
 * to followers, has them after a stop and after a kill, and removes them when they are deleted.
 */
import type { ServerProcess } from "../../support/server-process.ts"
import { SseReader } from "../../support/sse-reader.ts"
import { names, strange } from "../../support/strange-inputs.ts"
import type { Reply } from "../../support/wire.ts"
import { exchange, request } from "../../support/wire.ts"
import { listStreams } from "../harness/footprint.ts"

interface Stream {
  readonly segment: string
  readonly name: string
  /** The body of a read through the protocol. */
  readonly content: Uint8Array
  readonly contentType: string
  /** The event in the answer to its append; undefined if it was created through the protocol. */
  readonly event: string | undefined
}

/** Keeps and then deletes all strange streams. `beforeRestart` ends every other use of the server. */
export const keepStrange = async (server: ServerProcess, beforeRestart: () => Promise<unknown>) => {
  const { port } = server
  const violations: Array<string> = []
  const others = await listStreams(port)
  const streams = [...await appendNative(port, violations), ...await putTypes(port, violations)]
  const verify = async (when: string) => {
    const wanted = [...others, ...streams.map(({ name }) => name)].toSorted((one, other) => one < other ? -1 : 1)
    if (JSON.stringify(await listStreams(port)) !== JSON.stringify(wanted)) {
      violations.push(`${when}: other streams are listed`)
    }
    for (const stream of streams) violations.push(...await differences(port, stream, when))
  }
  await verify("at once")
  await beforeRestart()
  server.signal("SIGTERM")
  await server.ended()
  await server.start()
  await verify("after a stop")
  await server.kill()
  await server.start()
  await verify("after a kill")
  for (const { name, segment } of streams) {
    const { status } = await exchange(port, request("DELETE", `/streams/${segment}`))
    if (status !== 204) violations.push(`${show(name)}: the deletion was answered with ${status}`)
  }
  return { kept: streams.length, violations }
}

/** Appends every strange name and every strange piece of data, each paired with one of the other. */
const appendNative = async (port: number, violations: Array<string>): Promise<ReadonlyArray<Stream>> => {
  const streams: Array<Stream> = []
  for (let i = 0; i < Math.max(names.length, strange.length); i++) {
    const [segment, name] = names[i] ?? [`strange-${i}`, `strange-${i}`]
    const [, data] = strange[i % strange.length]!
    const headers = { "Content-Type": "application/json" }
    const reply = await exchange(port, request("POST", `/streams/${segment}`, headers, `{"data":${data}}`))
    const event = reply.body.toString()
    const begins = `{"offset":"0000000000000000","eventStreamId":${JSON.stringify(name)},"data":${data},"createdAt":"`
    if (reply.status !== 201 || !event.startsWith(begins)) {
      violations.push(`${show(name)}: answered with ${show(event)}`)
    }
    streams.push({ segment, name, event, content: Buffer.from(`[${data}]`), contentType: "application/json" })
  }
  return streams
}

const everyByte = Buffer.from(Array.from({ length: 256 }, (_, i) => i))

const contents: ReadonlyArray<readonly [contentType: string, content: string | Uint8Array]> = [
  ["application/octet-stream", everyByte],
  ["text/plain", everyByte],
  ["text/plain; charset=\"a;b\"", "a\r\n\r\nid: 9\nevent: control\ndata: {}\n\n"],
  ["text/html", "<script>alert(1)</script>"],
  ["image/svg+xml;a=b;;", "\ufeff<svg/>\u2028\u2029\u0085"],
  ["x/y", Buffer.alloc(1024 * 1024, 10)],
  ["text/x-\u007e!#$%&'*+.^`|", "\r"],
  ["application/problem+json", "{\"status\":500}"]
]

const putTypes = async (port: number, violations: Array<string>): Promise<ReadonlyArray<Stream>> => {
  const streams: Array<Stream> = []
  for (const [i, [contentType, content]] of contents.entries()) {
    const name = `typed-${i}`
    const { status } = await exchange(
      port,
      request("PUT", `/v1/stream/${name}`, { "Content-Type": contentType }, content)
    )
    if (status !== 201) violations.push(`${name}, ${contentType}: answered with ${status}`)
    streams.push({ segment: name, name, event: undefined, content: Buffer.from(content), contentType })
  }
  return streams
}

/** Returns a sentence for each difference between the stream and the sent data. */
const differences = async (port: number, stream: Stream, when: string): Promise<ReadonlyArray<string>> => {
  const { content, contentType, event, name, segment } = stream
  const found: Array<string> = []
  const wrong = (sentence: string) => found.push(`${show(name)} ${when}: ${sentence}`)
  const read = await exchange(port, request("GET", `/v1/stream/${segment}?offset=-1`))
  if (!read.body.equals(content)) wrong("the protocol reads other bytes")
  if (read.headers["content-type"] !== contentType) wrong(`the type is ${read.headers["content-type"]}`)
  if (!isSafe(read)) wrong(`answered with other headers: ${JSON.stringify(read.headers)}`)
  if (event === undefined) return found
  const page = await exchange(port, request("GET", `/streams/${segment}/events`))
  if (page.body.toString() !== `{"events":[${event}]}`) wrong("the page holds another text")
  const follower = await SseReader.open(port, `/streams/${segment}?offset=-1`)
  if ((await follower.event()).data !== event) wrong("a follower sees another text")
  follower.close()
  return found
}

/**
 * Whether the answer is safe: whatever type and data a stream has, browsers never show it as a page, and it adds no
 * header.
 */
const isSafe = ({ headers }: Reply): boolean =>
  headers["x-content-type-options"] === "nosniff" && Object.keys(headers).every((name) => known.has(name))

const known = new Set([
  "cache-control",
  "connection",
  "content-length",
  "content-security-policy",
  "content-type",
  "cross-origin-resource-policy",
  "date",
  "etag",
  "keep-alive",
  "stream-cursor",
  "stream-extensions",
  "stream-life",
  "stream-next-offset",
  "stream-up-to-date",
  "transfer-encoding",
  "vary",
  "x-content-type-options"
])

const show = (text: string) => JSON.stringify(text.slice(0, 100))
