/**
 * A proxy that passes every request on and cuts off some of the answers: their sender does not learn the result.
 */
import * as net from "node:net"
import type { AddressInfo } from "node:net"

export interface CutProxy extends AsyncDisposable {
  readonly url: string
  /** The heads of all requests. */
  readonly heads: ReadonlyArray<string>
}

/** `cuts` gets a request's head and returns whether its answer is cut off: the server has given the answer by then. */
export const startCutProxy = async (port: () => number, cuts: (head: string) => boolean): Promise<CutProxy> => {
  const heads: Array<string> = []
  const sockets = new Set<net.Socket>()
  const proxy = net.createServer((client) => {
    sockets.add(client)
    client.on("error", () => {}).on("close", () => sockets.delete(client)).once("data", (first) => {
      const head = first.toString("latin1").split("\r\n\r\n")[0]!
      heads.push(head)
      const isCut = cuts(head)
      const server = net.connect(port(), "127.0.0.1")
      server.on("error", () => client.destroy())
      client.on("close", () => server.destroy())
      server.write(first)
      client.pipe(server)
      if (isCut) server.once("data", () => client.resetAndDestroy())
      else server.pipe(client)
    })
  })
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    heads,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => proxy.close(resolve))
    }
  }
}
