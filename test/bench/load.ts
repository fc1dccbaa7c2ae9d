/**
 * Appends from the load process: HTTP over plain sockets, so that the client costs little beside the server it measures.
 * Each connection sends one request after the other until the time is up; any answer but a 2xx fails the run.
 */
import * as net from "node:net"
import type { Done } from "./rounds.ts"

export interface Load {
  readonly port: number
  /** Taken in turn. */
  readonly paths: ReadonlyArray<string>
  readonly body: string | Buffer
  readonly contentType?: string
  readonly connections: number
  /** Operations that a request stands for: the messages of a batch. */
  readonly operations?: number
}

export interface OpenLoad {
  /** Appends until the time is up, or so many requests have been sent, and every answer is there. */
  readonly run: (limit: { readonly millis?: number; readonly requests?: number }) => Promise<Done>
  readonly close: () => void
}

export const openLoad = async (load: Load): Promise<OpenLoad> => {
  const body = Buffer.from(load.body as string)
  const requests = load.paths.map((path) =>
    Buffer.concat([
      Buffer.from(
        `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${load.port}\r\n` +
          `content-type: ${load.contentType ?? "application/json"}\r\ncontent-length: ${body.length}\r\n\r\n`
      ),
      body
    ])
  )
  const connections = await Promise.all(Array.from({ length: load.connections }, () => connectPoster(load.port)))
  return {
    run: async ({ millis = Infinity, requests: requestsMax = Infinity }) => {
      const latencies: Array<number> = []
      const until = performance.now() + millis
      let sent = 0
      await Promise.all(connections.map(async (connection) => {
        for (let from = performance.now(); from < until && sent < requestsMax;) {
          await connection.post(requests[sent++ % requests.length]!)
          const now = performance.now()
          latencies.push(now - from)
          from = now
        }
      }))
      return { operations: latencies.length * (load.operations ?? 1), latencies: Float64Array.from(latencies) }
    },
    close: () => connections.forEach(({ close }) => close())
  }
}

/** Sends one body so many times and closes. */
export const post = async (load: Load, requests: number): Promise<Done> => {
  const open = await openLoad(load)
  const done = await open.run({ requests })
  open.close()
  return done
}

export interface Poster {
  /** Sends a whole request; settled when its answer is there. One at a time. */
  readonly post: (request: Buffer) => Promise<void>
  readonly close: () => void
}

export const connectPoster = async (port: number): Promise<Poster> => {
  let pending = ""
  let answered: () => void = nothing
  let failed: (error: Error) => void = nothing
  const { close, socket } = await connect(port, (chunk) => {
    pending = pending === "" ? chunk.toString("latin1") : pending + chunk.toString("latin1")
    const end = endOfAnswer(pending)
    if (end === undefined) return
    if (pending.charCodeAt("HTTP/1.1 ".length) !== 0x32) return failed(new Error(pending))
    pending = pending.slice(end)
    answered()
  }, (error) => failed(error))
  return {
    post: (request) =>
      new Promise((resolve, reject) => {
        answered = resolve
        failed = reject
        socket.write(request)
      }),
    close
  }
}

/** Where the answer at the front of the text ends; undefined while it is not all there. */
const endOfAnswer = (text: string): number | undefined => {
  const headEnd = text.indexOf("\r\n\r\n")
  if (headEnd < 0) return undefined
  // 204 has no body, and says nothing of its length.
  if (text.startsWith("HTTP/1.1 204")) return headEnd + 4
  const at = lengthAt(text)
  if (at < 0 || at > headEnd) throw new Error(`An answer without its length: ${text.slice(0, headEnd)}`)
  const end = headEnd + 4 + Number.parseInt(text.slice(at, at + 16), 10)
  return text.length < end ? undefined : end
}

const lengthAt = (text: string): number => {
  for (const name of ["content-length: ", "Content-Length: "]) {
    const at = text.indexOf(name)
    if (at >= 0) return at + name.length
  }
  return -1
}

/**
 * A socket whose bytes are read into one buffer that all sockets of this process share: what is handed on is only there
 * until the callback returns. A connection that ends before it is closed here is told as an error.
 */
export const connect = (
  port: number,
  onBytes: (chunk: Buffer) => void,
  onLost: (error: Error) => void
): Promise<{ readonly socket: net.Socket; readonly close: () => void }> =>
  new Promise((resolve, reject) => {
    const onread = {
      buffer: shared,
      callback: (length: number): boolean => {
        onBytes(shared.subarray(0, length))
        return true
      }
    }
    const socket = net.connect({ host: "127.0.0.1", port, noDelay: true, onread })
    let closed = false
    const lost = (error: Error) => {
      if (closed) return
      reject(error)
      onLost(error)
    }
    socket.once("connect", () =>
      resolve({
        socket,
        close: () => {
          closed = true
          socket.destroy()
        }
      }))
    socket.on("error", lost)
    socket.on("close", () => lost(new Error("The server closed a connection under load.")))
  })

/** As much as Node reads at once. */
const shared = Buffer.allocUnsafeSlow(64 * 1024)

const nothing = (): void => undefined
