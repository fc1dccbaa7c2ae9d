/**
 * A client that has ended its side of a connection still waits for its answer (RFC 9112 9.6), or is gone: both look the
 * same until something is sent to it. So something is: a comment to a follower, and 102 (Processing) to a client whose
 * answer has not begun. The system of a client that is gone answers with a reset, which is noticed by the second of them.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import type { Sending } from "./sending.ts"
import type { HttpSocket } from "./turns.ts"

/** Most answers are over before the first. Half a second is more than the way to most clients and back. */
const probesMillis = [100, 600]

/** Answers with what listens to the end of every connection. */
export const probeHalfClosed = (server: Http.Server, { open }: Pick<Sending, "open">) => {
  // Node ends the connection behind the answer that is under way, and not before.
  ;(server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true
  const probe = (response: Http.ServerResponse) => {
    const following = open.get(response)
    if (following !== undefined) following.keepAlive()
    // HTTP/1.0 knows no answers before the answer (RFC 9110 15.2).
    else if (!response.headersSent && response.req.httpVersion === "1.1") response.writeProcessing()
  }
  function onEnd(this: Socket) {
    const response = (this as HttpSocket)._httpMessage
    if (response == null || response.writableEnded) return
    // A matter of sockets and not of the program's time.
    const timers = probesMillis.map((millis) => setTimeout(probe, millis, response).unref())
    response.once("close", () => timers.forEach(clearTimeout))
  }
  server.on("connection", (socket: Socket) => socket.on("end", onEnd))
  return onEnd
}
