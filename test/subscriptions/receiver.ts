/**
 * A webhook on this machine: a real HTTP server that keeps the calls that it gets.
 */
import { Effect, Latch } from "effect"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import type { WakeBody } from "./stage.ts"

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: WakeBody
}

/** Answers each call as `answer` does; it ends with the scope. */
export const receiver = (answer: (response: ServerResponse, received: Received) => void) =>
  Effect.gen(function*() {
    const received: Array<Received> = []
    const news = Latch.makeUnsafe(false)
    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((request, response) => {
          const chunks: Array<Buffer> = []
          request.on("data", (chunk: Buffer) => chunks.push(chunk))
          request.on("end", () => {
            const text = Buffer.concat(chunks).toString()
            const one = { headers: request.headers, text, body: JSON.parse(text) as WakeBody }
            received.push(one)
            answer(response, one)
            news.openUnsafe()
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.closeAllConnections()
          server.close(() => resume(Effect.void))
        })
    )
    const { port } = server.address() as AddressInfo
    /** The `n`-th call, once it has come. */
    const call = (n: number): Effect.Effect<Received> =>
      Effect.suspend(() => {
        const one = received[n]
        if (one !== undefined) return Effect.succeed(one)
        news.closeUnsafe()
        return Effect.flatMap(news.await, () => call(n))
      })
    return { url: `http://127.0.0.1:${port}/hook`, received, call }
  })

export const answering = (status: number, body: string) => (response: ServerResponse) => {
  response.writeHead(status, { "content-type": "application/json" })
  response.end(body)
}
