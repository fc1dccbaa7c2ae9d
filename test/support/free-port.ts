/**
 * A free port of 127.0.0.1.
 */
import { once } from "node:events"
import * as net from "node:net"

export const freePort = async (): Promise<number> => {
  const listener = net.createServer().listen(0, "127.0.0.1")
  await once(listener, "listening")
  const { port } = listener.address() as net.AddressInfo
  listener.close()
  await once(listener, "close")
  return port
}
