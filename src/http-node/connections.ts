/**
 * Connections, counted, and no more than the limit says. A few beyond it are still taken, to be told so in an answer to
 * what they ask; only `/health` is answered there, for whoever wants to know what the matter is.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import { Overloaded } from "../domain/errors.ts"
import type { Answer } from "../http/exchange.ts"
import { problem } from "../http/problem.ts"

/**
 * As many as are told so at once, where descriptors are not few (`file-limit.ts`): beyond them, connections are closed as
 * they come. Those who say nothing leave with the timeout of their headers.
 */
export const beyondMax = 64

export class Connections {
  readonly #max: number
  readonly #beyond = new WeakSet<Socket>()
  #size = 0
  #taken = 0

  constructor(server: Http.Server, max: number, beyond: number) {
    this.#max = max
    server.maxConnections = max + beyond
    server.on("connection", (socket: Socket) => {
      this.#taken++
      if (this.#size >= max) return void this.#beyond.add(socket)
      this.#size++
      socket.on("close", () => this.#size--)
    })
  }

  get size(): number {
    return this.#size
  }

  /** How many there have been. */
  get taken(): number {
    return this.#taken
  }

  /** What a request is told whose connection is one too many; undefined for all others. */
  refusal({ socket, url }: Http.IncomingMessage, response: Http.ServerResponse): Answer | undefined {
    if (!this.#beyond.has(socket)) return undefined
    response.setHeader("connection", "close")
    if (url === "/health") return undefined
    return problem(
      new Overloaded({
        message: `This server has ${this.#max} connections open, as many as it takes. ` +
          "Try again later, or start it with a larger --max-connections.",
        limit: this.#max
      })
    )
  }
}
