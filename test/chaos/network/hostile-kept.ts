/**
 * What is strange and right: names and data are kept as they came, listed, read through both doors, followed, there again
 * after a stop and after a kill, and gone when they are deleted.
 */
import type { ServerProcess } from "../../support/server-process.ts"
import { SseReader } from "../../support/sse-reader.ts"
import { names, strange } from "../../support/strange-inputs.ts"
import type { Reply } from "../../support/wire.ts"
import { exchange, request } from "../../support/wire.ts"
import { listed } from "../harness/footprint.ts"

interface Stream {
  readonly segment: string
  readonly name: string
  /** What reading it through the protocol answers. */
  readonly content: Uint8Array
  readonly contentType: string
  /** The event as its append was answered; undefined where it was made through the protocol. */
  readonly event: string | undefined
}

/** Leaves nothing behind. `beforeRestart` lets go of the server. */
export const keepStrange = async (server: ServerProcess, beforeRestart: () => Promise<unknown>) => {
  const { port } = server
  const violations: Array<string> = []
  const others = await listed(port)
  const streams = [...await appendNative(port, violations), ...await putTyped(port, violations)]
  const verify = async (when: string) => {
    const wanted = [...others, ...streams.map(({ name }) => name)].toSorted((one, other) => one < other ? -1 : 1)
    if (JSON.stringify(await listed(port)) !== JSON.stringify(wanted)) {
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

/** Every strange name and every strange piece of data, each with one of the other. */
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

const putTyped = async (port: number, violations: Array<string>): Promise<ReadonlyArray<Stream>> => {
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

/** A sentence for each way in which the stream is not what was sent. */
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

/** Whatever a stream's type and data are, they are never a page, and bring no header with them. */
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
