/**
 * Counts connections and limits them. The server still accepts a few beyond the limit and refuses their requests with the
 * reason. It answers only `/health` there, so that an operator can find out what is wrong.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import { Overloaded } from "../domain/errors.ts"
import type { Answer } from "../http/exchange.ts"
import { toAnswer } from "../http/problem.ts"

/**
 * The server refuses the requests of so many connections at once, or of fewer when descriptors are few (`file-limit.ts`),
 * and closes further connections as they come. A client that sends no request leaves with the timeout of its headers.
 */
export const beyondMax = 64

export class Connections {
  readonly #max: number
  readonly #beyond = new WeakSet<Socket>()
  #size = 0
  #acceptedCount = 0

  constructor(server: Http.Server, max: number, beyond: number) {
    this.#max = max
    server.maxConnections = max + beyond
    server.on("connection", (socket: Socket) => {
      this.#acceptedCount++
      if (this.#size >= max) return void this.#beyond.add(socket)
      this.#size++
      socket.on("close", () => this.#size--)
    })
  }

  get size(): number {
    return this.#size
  }

  /** How many connections the server has accepted since it began. */
  get acceptedCount(): number {
    return this.#acceptedCount
  }

  /** Returns the refusal of a request whose connection is beyond the limit; undefined for all others, and for `/health`. */
  refusal({ socket, url }: Http.IncomingMessage, response: Http.ServerResponse): Answer | undefined {
    if (!this.#beyond.has(socket)) return undefined
    response.setHeader("connection", "close")
    if (url === "/health") return undefined
    return toAnswer(
      new Overloaded({
        message: `This server has ${this.#max} connections open, as many as it takes. ` +
          "Try again later, or start it with a larger --max-connections.",
        limit: this.#max
      })
    )
  }
}
