/**
 * The same port at the other loopback address. `localhost` is ::1 first for curl and browsers, so they would reach a program
 * there instead of a server on 127.0.0.1.
 */
import { Effect } from "effect"
import * as net from "node:net"

/** A connection within one machine is made or refused in well under this time. */
const patience = "250 millis"

/** Whether a program other than ours answers at ::1, when the server is to listen on 127.0.0.1. */
export const isTakenBeside = (host: string, port: number): Effect.Effect<boolean> =>
  host !== "127.0.0.1" ? Effect.succeed(false) : Effect.callback<boolean>((resume) => {
    const socket = net.connect({ host: "::1", port })
    const end = (isTaken: boolean) => {
      socket.destroy()
      resume(Effect.succeed(isTaken))
    }
    socket.on("connect", () => end(true)).on("error", () => end(false))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed(false) }))
