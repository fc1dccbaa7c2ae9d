/**
 * A client that has ended its side of a connection still waits for its answer (RFC 9112 9.6), or it is gone. The server
 * cannot tell which until it sends something. So it sends a comment to a follower, and 102 (Processing) to a client whose
 * answer has not begun. The system of a client that is gone resets the connection, and the second of these probes notices.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import type { Sending } from "./sending.ts"
import type { HttpSocket } from "./turns.ts"

/** Most answers end before the first probe. The second comes half a second later, longer than most round trips. */
const probesMillis = [100, 600]

/** Returns the function that listens to the end of every connection. */
export const probeHalfClosed = (server: Http.Server, { open }: Pick<Sending, "open">) => {
  // Node then ends the connection after the answer that is under way, and not before.
  ;(server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true
  const probe = (response: Http.ServerResponse) => {
    const following = open.get(response)
    if (following !== undefined) following.keepAlive()
    // HTTP/1.0 has no interim answers (RFC 9110 15.2).
    else if (!response.headersSent && response.req.httpVersion === "1.1") response.writeProcessing()
  }
  function onEnd(this: Socket) {
    const response = (this as HttpSocket)._httpMessage
    if (response == null || response.writableEnded) return
    // Real time and not the program's clock: the probes belong to sockets.
    const timers = probesMillis.map((millis) => setTimeout(probe, millis, response).unref())
    response.once("close", () => timers.forEach(clearTimeout))
  }
  server.on("connection", (socket: Socket) => socket.on("end", onEnd))
  return onEnd
}
