/**
 * The contestants of the append measurements, each through its own door: our server by its native route and by the
 * protocol's, the reference server, and the bare one. A shape describes the load, and is the same for all of them.
 */
import { openLoad } from "./load.ts"
import type { Side } from "./rounds.ts"
import type { ServerProcess } from "./servers.ts"

export interface Shape {
  readonly connections: number
  readonly streams: number
  /** The bytes of one message. */
  readonly bytes: number
  /** The messages in one request. */
  readonly batch: number
  /** The duration of one round. */
  readonly millis: number
}

interface Opened {
  readonly side: Side
  readonly close: () => void
}

export interface Contestant {
  readonly name: string
  readonly open: (shape: Shape) => Promise<Opened>
}

/** Returns JSON of `bytes` bytes, as a chat or a build log has it. */
export const message = (bytes: number): string => {
  const empty = JSON.stringify({ seq: 1_000_000_000, type: "message", text: "" })
  return `${empty.slice(0, -2)}${"The tests are green. ".repeat(bytes / 21 + 1).slice(0, bytes - empty.length)}"}`
}

export const bare = (server: ServerProcess): Contestant => ({
  name: "bare",
  open: async (shape) => {
    const load = await openLoad({
      port: server.port,
      paths: [shape.batch === 1 ? "/echo" : "/batch"],
      body: shape.batch === 1 ? `{"data":${message(shape.bytes)}}` : array(shape),
      connections: shape.connections,
      operations: shape.batch
    })
    return { side: { name: "bare", server, round: () => load.run(shape) }, close: load.close }
  }
})

export const native = (name: string, server: ServerProcess): Contestant => ({
  name,
  open: async (shape) => {
    const names = await makeStreams(server, shape.streams)
    const load = await openLoad({
      port: server.port,
      paths: names.map((name) => `/streams/${name}`),
      body: shape.batch === 1
        ? `{"data":${message(shape.bytes)}}`
        : Array.from({ length: shape.batch }, () => message(shape.bytes)).join("\n"),
      contentType: shape.batch === 1 ? "application/json" : "application/x-ndjson",
      connections: shape.connections,
      operations: shape.batch
    })
    const before = () => makeAnew(server, names)
    return { side: { name, server, before, round: () => load.run(shape) }, close: load.close }
  }
})

/** The protocol of our server or of the reference server. */
export const protocol = (name: string, server: ServerProcess): Contestant => ({
  name,
  open: async (shape) => {
    const names = await makeStreams(server, shape.streams)
    const load = await openLoad({
      port: server.port,
      paths: names.map(streamPath),
      body: shape.batch === 1 ? message(shape.bytes) : array(shape),
      connections: shape.connections,
      operations: shape.batch
    })
    const before = () => Promise.all([makeAnew(server, names), load.ready()])
    return { side: { name, server, before, round: () => load.run(shape) }, close: load.close }
  }
})

const array = ({ batch, bytes }: Shape): string => `[${Array.from({ length: batch }, () => message(bytes)).join(",")}]`

const makeStreams = async (server: ServerProcess, count: number): Promise<ReadonlyArray<string>> => {
  const names = Array.from({ length: count }, (_, i) => `append-${i}`)
  await Promise.all(names.map((name) => makeStream(server, name)))
  return names
}

/** Returns the path of a stream in the protocol; it is the same on our server and the reference server. */
export const streamPath = (name: string): string => `/v1/stream/${name}`

export const makeStream = async ({ port }: ServerProcess, name: string): Promise<void> => {
  const answer = await fetch(`http://127.0.0.1:${port}${streamPath(name)}`, {
    method: "PUT",
    headers: { "content-type": "application/json" }
  })
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`The stream was not made: ${answer.status}`)
}

/** Deletes the streams and creates them again, so that no round pays for data of the round before. */
const makeAnew = async (server: ServerProcess, names: ReadonlyArray<string>): Promise<void> => {
  await Promise.all(names.map(async (name) => {
    const answer = await fetch(`http://127.0.0.1:${server.port}${streamPath(name)}`, { method: "DELETE" })
    await answer.arrayBuffer()
    await makeStream(server, name)
  }))
}
