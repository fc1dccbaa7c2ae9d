/**
 * Requests from the load process: HTTP over plain sockets, so that the client costs little beside the server that it
 * measures. Each connection sends one request after the other until the time is up. Any answer but a 2xx fails the run.
 */
import * as net from "node:net"
import type { Done } from "./rounds.ts"

export interface Load {
  readonly port: number
  /** The paths, used in turn. */
  readonly paths: ReadonlyArray<string>
  /** The body to post; without a body, the load reads the paths. */
  readonly body?: string
  readonly contentType?: string
  readonly connections: number
  /** The operations of one request: the messages of a batch. */
  readonly operations?: number
}

export interface OpenLoad {
  /**
   * Reopens connections that a server has closed because they were idle. The caller must call it before a run; it is
   * not counted.
   */
  readonly ready: () => Promise<void>
  /** Sends requests until the time is up, or until `requests` have been sent, and waits for every answer. */
  readonly run: (limit: { readonly millis?: number; readonly requests?: number }) => Promise<Done>
  readonly close: () => void
}

export const openLoad = (load: Load): Promise<OpenLoad> =>
  openRequests({ ...load, requests: () => load.paths.map((path) => requestOf(load, path)), endOfAnswer: endOfHttp })

export interface Requests {
  readonly port: number
  /** Returns the requests of a connection, used in turn. */
  readonly requests: (connection: number) => ReadonlyArray<Buffer>
  readonly connections: number
  readonly operations?: number
  /** The first bytes of a connection, which get no answer. */
  readonly hello?: (connection: number) => string
  readonly endOfAnswer: EndOfAnswer
}

/**
 * Returns the end of the answer at the front of the text; undefined while it is incomplete. Throws if the answer is a
 * refusal.
 */
export type EndOfAnswer = (text: string) => number | undefined

/** The same load in any protocol in which an answer follows each request. */
export const openRequests = async (
  { connections: count, endOfAnswer, hello, operations = 1, port, requests }: Requests
): Promise<OpenLoad> => {
  const open = async (i: number) => ({
    ...await connectPoster(port, endOfAnswer, hello?.(i)),
    requests: requests(i)
  })
  const connections = await Promise.all(Array.from({ length: count }, (_, i) => open(i)))
  return {
    ready: async () => {
      for (const [i, { lost }] of connections.entries()) if (lost()) connections[i] = await open(i)
    },
    run: async ({ millis = Infinity, requests: requestsMax = Infinity }) => {
      const latencies: Array<number> = []
      const until = performance.now() + millis
      let sent = 0
      await Promise.all(connections.map(async (connection) => {
        for (let from = performance.now(); from < until && sent < requestsMax;) {
          await connection.post(connection.requests[sent++ % connection.requests.length]!)
          const now = performance.now()
          latencies.push(now - from)
          from = now
        }
      }))
      return { operations: latencies.length * operations, latencies: Float64Array.from(latencies) }
    },
    close: () => connections.forEach(({ close }) => close())
  }
}

const requestOf = ({ body, contentType = "application/json", port }: Load, path: string): Buffer =>
  Buffer.from(
    body === undefined
      ? `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`
      : `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: ${contentType}\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )

/** Sends one body `requests` times, and closes. */
export const post = async (load: Load, requests: number): Promise<Done> => {
  const open = await openLoad(load)
  const done = await open.run({ requests })
  open.close()
  return done
}

export interface Poster {
  /** Sends a whole request. Resolves when its answer is there. The caller must send one at a time. */
  readonly post: (request: Buffer) => Promise<void>
  readonly lost: () => boolean
  readonly close: () => void
}

export const connectPoster = async (
  port: number,
  endOfAnswer: EndOfAnswer = endOfHttp,
  hello?: string
): Promise<Poster> => {
  let pending = ""
  let answered: () => void = nothing
  let failed: (error: Error) => void = nothing
  let lost: Error | undefined
  const { close, socket } = await connect(port, (chunk) => {
    pending += chunk.toString("latin1")
    try {
      const end = endOfAnswer(pending)
      if (end === undefined) return
      pending = pending.slice(end)
    } catch (error) {
      return failed(error as Error)
    }
    answered()
  }, (error) => {
    lost = error
    failed(error)
  })
  if (hello !== undefined) socket.write(hello)
  return {
    post: (request) =>
      new Promise((resolve, reject) => {
        answered = resolve
        failed = reject
        if (lost === undefined) socket.write(request)
        else reject(lost)
      }),
    lost: () => lost !== undefined,
    close
  }
}

const endOfHttp: EndOfAnswer = (text) => {
  const headEnd = text.indexOf("\r\n\r\n")
  if (headEnd < 0) return undefined
  if (text.charCodeAt("HTTP/1.1 ".length) !== 0x32) throw new Error(text)
  // A 204 has no body and no length.
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
 * A socket that reads into one buffer that all sockets of this process share: the callback's bytes are valid only until
 * the callback returns. A connection that ends before it is closed here is reported as an error.
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

/** As many bytes as Node reads at once. */
const shared = Buffer.allocUnsafeSlow(64 * 1024)

const nothing = (): void => undefined
