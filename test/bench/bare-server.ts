/**
 * The baseline of every comparison: `node:http` with the least possible work for the same service, and no other part of
 * a server (no checks, no order, no storage). One process, one path for each measurement:
 *
 * - `POST /echo`: parses the body and answers with it.
 * - `POST /batch`: parses the body, a JSON array, and answers with its length.
 * - `GET /follow/<name>`, `POST /publish/<name>`: writes the body, as one shared Buffer, to every follower.
 * - `GET /file/<path>`: answers with the file's bytes, as they are.
 */
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

const followers = new Map<string, Set<http.ServerResponse>>()

const server = http.createServer((request, response) => {
  const url = request.url ?? ""
  if (request.method === "GET" && url.startsWith("/follow/")) return follow(url.slice("/follow/".length), response)
  if (request.method === "GET" && url.startsWith("/file/")) return file(url.slice("/file".length), response)
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    if (url === "/echo") return answer(response, 201, JSON.stringify(JSON.parse(body.toString())))
    if (url === "/batch") {
      return answer(response, 201, JSON.stringify({ count: (JSON.parse(body.toString()) as Array<unknown>).length }))
    }
    if (url.startsWith("/publish/")) return publish(url.slice("/publish/".length), body, response)
    answer(response, url === "/health" ? 200 : 404, "{}")
  })
})

const follow = (name: string, response: http.ServerResponse) => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  response.flushHeaders()
  const those = followers.get(name) ?? new Set()
  followers.set(name, those.add(response))
  response.once("close", () => those.delete(response))
}

const publish = (name: string, body: Buffer, response: http.ServerResponse) => {
  const frame = Buffer.from(`id: 0000000000000000\ndata: ${body.toString()}\n\n`)
  for (const follower of followers.get(name) ?? []) follower.write(frame)
  answer(response, 201, "{}")
}

const file = (path: string, response: http.ServerResponse) => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  // Read in pieces of the size that our server reads.
  fs.createReadStream(path, { highWaterMark: 512 * 1024 }).pipe(response)
}

const answer = (response: http.ServerResponse, status: number, body: string) => {
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
  response.end(body)
}

// Keep a connection open while other sides have their turn; our server does the same.
server.keepAliveTimeout = 75_000

// Let connections queue: a thousand followers come at once.
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  process.stderr.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})

process.on("SIGTERM", () => process.exit())
