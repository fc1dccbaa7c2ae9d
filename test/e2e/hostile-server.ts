/**
 * A server that sends the bytes that a test chooses.
 */
import * as net from "node:net"
import type { AddressInfo } from "node:net"

export interface HostileServer extends AsyncDisposable {
  readonly url: string
  /** The first lines of the requests, in order. */
  readonly requests: ReadonlyArray<string>
}

/** Answers each request with the bytes of `answer`; the connection ends with them unless they say otherwise. */
export const startHostile = async (
  answer: (line: string, socket: net.Socket) => string | Buffer | undefined
): Promise<HostileServer> => {
  const requests: Array<string> = []
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {}).on("close", () => sockets.delete(socket)).once("data", (bytes) => {
      const line = bytes.toString("latin1").split("\r\n")[0]!
      requests.push(line)
      const said = answer(line, socket)
      if (said !== undefined) socket.end(said)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}

/** An answer in full. */
export const reply = (status: number, type: string, body: string, headers = ""): Buffer =>
  Buffer.from(
    `HTTP/1.1 ${status} Status\r\ncontent-type: ${type}\r\n${headers}content-length: ${
      Buffer.byteLength(body)
    }\r\n\r\n${body}`
  )

export const problem = (status: number, detail: string): Buffer =>
  reply(status, "application/problem+json", JSON.stringify({ type: "urn:x", status, detail }))

/** The head of an answer whose body ends with the connection. */
export const endless = (type: string, status = 200): string =>
  `HTTP/1.1 ${status} Status\r\ncontent-type: ${type}\r\n\r\n`

/** Writes the same bytes again and again, as fast as the reader takes them, until the reader leaves. */
export const flood = (socket: net.Socket, head: string, bytes: Buffer): undefined => {
  socket.write(head)
  const go = () => {
    while (!socket.destroyed && socket.write(bytes));
  }
  socket.on("drain", go)
  go()
  return undefined
}

export const health = (): Buffer =>
  reply(
    200,
    "application/json",
    JSON.stringify({
      status: "ok",
      pid: 1,
      version: "0.1.0",
      dataDirectory: "/nowhere",
      host: "127.0.0.1",
      storage: "fs",
      durability: "fsync",
      bodyBytesMax: 1048576,
      corsOrigins: [],
      longPollMillis: 30000,
      limits: {
        bodyBytesMax: 1048576,
        headersMillis: 10000,
        requestMillis: 30000,
        stallMillis: 60000,
        connectionsMax: 1,
        followersMax: 1,
        streamsMax: 1,
        awakeMax: 1,
        producersMax: 1
      },
      usage: { connections: 0, followers: 0, awakeStreams: 0, streams: 0 },
      startedAt: "2026-01-08T09:00:00.000Z",
      uptimeSeconds: 1
    })
  )
