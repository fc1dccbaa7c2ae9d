/**
 * A slow network in front of a server: data arrives in small pieces, each some milliseconds after the one before, so
 * that requests and answers are cut anywhere. A connection that breaks on one side breaks on the other.
 */
import { once } from "node:events"
import * as net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import type { Random } from "../../support/random.ts"

/** The size cuts many requests and most answers, and lets some kilobytes through in some tens of milliseconds. */
const pieceBytes = 600
const pauseMillis = 2

export class SlowLink {
  readonly #listener: net.Server
  readonly #sockets = new Set<net.Socket>()

  private constructor(listener: net.Server) {
    this.#listener = listener
  }

  /** Listens on a port of its own, for a server that may come and go. */
  static async make(port: number, random: Random): Promise<SlowLink> {
    const listener = net.createServer().listen(0, "127.0.0.1")
    await once(listener, "listening")
    const link = new SlowLink(listener)
    listener.on("connection", (socket) => link.#join(socket, net.connect(port, "127.0.0.1"), random))
    return link
  }

  get port(): number {
    return (this.#listener.address() as net.AddressInfo).port
  }

  close(): void {
    this.#listener.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #join(one: net.Socket, other: net.Socket, random: Random): void {
    for (const [from, to] of [[one, other], [other, one]] as const) {
      this.#sockets.add(from)
      from.setNoDelay(true)
      from.on("error", () => {})
      from.on("close", () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      void carry(from, to, random.fork()).catch(() => to.destroy())
    }
  }
}

const carry = async (from: net.Socket, to: net.Socket, random: Random) => {
  for await (const chunk of from) {
    const bytes = chunk as Buffer
    for (let at = 0; at < bytes.length;) {
      const end = at + random.between(1, pieceBytes)
      await sleep(random.between(0, pauseMillis))
      to.write(bytes.subarray(at, end))
      at = end
    }
  }
  to.end()
}
