/**
 * What everything is held against: `node:http` with the least possible work for the same service, and nothing else of a
 * server (no checks, no order, no storage). One process, one path for each measurement:
 *
 * - `POST /echo`: the body is parsed and answered back.
 * - `GET /follow`, `POST /publish`: the body is written, as one shared Buffer, to everyone who follows.
 * - `GET /replay?file=`: a log file as Server-Sent Events, each event parsed, stripped of its commit, written anew.
 * - `POST /reserialise`: the same for the file named in the body, without a network: answers how many bytes it made.
 */
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

const followers = new Set<http.ServerResponse>()

const server = http.createServer((request, response) => {
  const url = request.url ?? ""
  if (request.method === "GET" && url === "/follow") {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.flushHeaders()
    followers.add(response)
    response.once("close", () => followers.delete(response))
    return
  }
  if (request.method === "GET" && url.startsWith("/replay?file=")) {
    return void replay(decodeURIComponent(url.slice("/replay?file=".length)), response)
  }
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    if (url === "/echo") return answer(response, 201, JSON.stringify(JSON.parse(body.toString())))
    if (url === "/publish") {
      const frame = Buffer.from(`id: 0000000000000000\ndata: ${body.toString()}\n\n`)
      for (const follower of followers) follower.write(frame)
      return answer(response, 201, "{}")
    }
    if (url === "/reserialise") return void reserialise(body.toString(), response)
    answer(response, 404, "{}")
  })
})

const answer = (response: http.ServerResponse, status: number, body: string) => {
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
  response.end(body)
}

/** Bytes read at once, as many as our server reads. */
const readBytes = 256 * 1024

/** The frames of a log file's events, a Buffer for each, in arrays of as many as were read at once. */
async function* framesOf(file: string): AsyncGenerator<ReadonlyArray<Buffer>> {
  let rest = ""
  for await (const chunk of fs.createReadStream(file, { highWaterMark: readBytes, encoding: "utf8" })) {
    const lines = (rest + String(chunk)).split("\n")
    rest = lines.pop()!
    const frames: Array<Buffer> = []
    for (const line of lines) {
      const { commit: _, ...event } = JSON.parse(line) as Record<string, unknown>
      if (!("offset" in event)) continue
      frames.push(Buffer.from(`id: ${String(event["offset"])}\ndata: ${JSON.stringify(event)}\n\n`))
    }
    yield frames
  }
}

const replay = async (file: string, response: http.ServerResponse) => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  for await (const frames of framesOf(file)) {
    let room = true
    for (const frame of frames) room = response.write(frame)
    if (!room) await new Promise((resolve) => response.once("drain", resolve))
  }
  response.end()
}

const reserialise = async (file: string, response: http.ServerResponse) => {
  let bytes = 0
  for await (const frames of framesOf(file)) for (const frame of frames) bytes += frame.length
  answer(response, 200, JSON.stringify({ bytes }))
}

server.listen(0, "127.0.0.1", () => {
  process.stderr.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})

process.on("SIGTERM", () => process.exit())
