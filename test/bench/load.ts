/**
 * Load from the bench process: HTTP over plain sockets, so that the client costs little beside the server it measures.
 */
import * as net from "node:net"

export interface Load {
  readonly port: number
  readonly path: string
  readonly body: string | Buffer
  readonly contentType?: string
  readonly connections: number
  readonly requests: number
}

export interface Loaded {
  readonly wallMillis: number
  /** Each request's time from being sent to being answered, in milliseconds, sorted. */
  readonly latencies: Float64Array
}

/** Sends the same request so many times, each connection one after the other. Any answer but a 2xx fails the run. */
export const post = async (load: Load): Promise<Loaded> => {
  const { body, connections, contentType = "application/json", path, port, requests } = load
  const request = Buffer.concat([
    Buffer.from(
      `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: ${contentType}\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n`
    ),
    Buffer.from(body)
  ])
  const sockets = await Promise.all(Array.from({ length: connections }, () => connect(port)))
  const latencies = new Float64Array(requests)
  let sent = 0
  let answered = 0
  const from = performance.now()
  await Promise.all(sockets.map((socket) =>
    new Promise<void>((resolve, reject) => {
      let sentAt = 0
      let pending = ""
      const next = () => {
        if (sent === requests) return resolve()
        sent++
        sentAt = performance.now()
        socket.write(request)
      }
      socket.on("data", (chunk) => {
        pending += chunk.toString("latin1")
        const end = endOfAnswer(pending)
        if (end === undefined) return
        if (pending.charCodeAt("HTTP/1.1 ".length) !== 0x32) return reject(new Error(pending))
        latencies[answered++] = performance.now() - sentAt
        pending = pending.slice(end)
        next()
      })
      socket.on("error", reject)
      socket.on("close", () => reject(new Error("The server closed a connection under load.")))
      next()
    })
  ))
  const wallMillis = performance.now() - from
  for (const socket of sockets) socket.destroy()
  return { wallMillis, latencies: latencies.toSorted() }
}

/** Where the answer at the front of the text ends; undefined while it is not all there. */
const endOfAnswer = (text: string): number | undefined => {
  const headEnd = text.indexOf("\r\n\r\n")
  if (headEnd < 0) return undefined
  // 204 has no body, and says nothing of its length.
  if (text.startsWith("HTTP/1.1 204")) return headEnd + 4
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, headEnd))?.[1]
  if (length === undefined) throw new Error(`An answer without its length: ${text.slice(0, headEnd)}`)
  const end = headEnd + 4 + Number(length)
  return text.length < end ? undefined : end
}

export const connect = (port: number): Promise<net.Socket> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ host: "127.0.0.1", port, noDelay: true }, () => {
      socket.off("error", reject)
      resolve(socket)
    })
    socket.once("error", reject)
  })

/** The value that a share of the sorted values does not exceed. */
export const percentile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
