/**
 * What is answered to requests that reach no handler, in the form of all refusals.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { refusalOf } from "./malformed.ts"
import type { ClientError, HttpSocket } from "./turns.ts"

/** Answered before all of them was there: what a connection brings of them later is not answered a second time. */
const early = new WeakMap<Duplex, Http.IncomingMessage>()

export const answeredEarly = (socket: Duplex, request: Http.IncomingMessage): void => void early.set(socket, request)

/** What the parser refuses. */
export const refuseMalformed = (error: ClientError, socket: Socket) => {
  // Behind `Connection: close` nothing is answered (RFC 9112 9.6); the answer in front closes the connection.
  if (error.code === "HPE_CLOSED_CONNECTION") return
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy()
  if (early.get(socket)?.complete === false) return endOf(socket)
  const { detail, status, title } = refusalOf(error)
  behindAnswers(socket, () => refuseOnSocket(socket, status, title, detail))
}

/** Who waits for an answer to end before the connection is refused. */
const refusing = new WeakSet<Duplex>()

/** Runs when no answer to an earlier request is under way, if the connection is open then; the first time only. */
const behindAnswers = (socket: HttpSocket, refuse: () => void) => {
  const front = socket._httpMessage
  // The answer to the very request that is refused has not begun.
  if (front == null || !front.req.complete) return refuse()
  if (refusing.has(socket)) return
  refusing.add(socket)
  // Where Node has let go of the socket, nobody else tells the answer that there is room.
  if (socket.parser == null) socket.on("drain", () => front.emit("drain"))
  front.once("close", () => {
    // A request that was late, and came after all, has its answer under way.
    if (socket.writable && socket._httpMessage == null) refuse()
  })
}

/** Node knows one expectation, `100-continue`; RFC 9110 10.1.1 has an answer to all others. */
export const refuseExpectation = (_request: Http.IncomingMessage, response: Http.ServerResponse) => {
  const title = "Expectation Failed"
  response.writeHead(417, { connection: "close", "content-type": problemType })
  response.end(problemOf(417, title, "Only 100-continue can be expected of this server."))
}

/** Node has let go of the socket: an error that nobody hears would end the process. */
export const refuseTunnel = (_request: Http.IncomingMessage, socket: Duplex) => {
  socket.on("error", () => socket.destroy())
  behindAnswers(socket as HttpSocket, () => refuseOnSocket(socket, 400, "Bad Request", "This server is no proxy."))
}

const refuseOnSocket = (socket: Duplex, status: number, title: string, detail: string) => {
  const body = problemOf(status, title, detail)
  endOf(
    socket,
    `HTTP/1.1 ${status} ${title}\r\nconnection: close\r\ndate: ${new Date().toUTCString()}\r\n` +
      `content-type: ${problemType}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
}

/** Long enough for the answer to cross a slow line; what arrives meanwhile is dropped as it comes. */
const lingerMillis = 1_000

/**
 * The last that is sent on a connection, and its end. Node has let go of such a socket: nobody else hears its errors, and
 * nothing else closes it where the other side does not.
 */
export const endOf = (socket: Duplex, text = "") => {
  socket.on("error", () => socket.destroy()).resume().end(text, () => {
    if (socket.destroyed) return
    const timer = setTimeout(() => socket.destroy(), lingerMillis)
    socket.on("close", () => clearTimeout(timer))
  })
}

const problemType = "application/problem+json"

const problemOf = (status: number, title: string, detail: string) =>
  JSON.stringify({ type: "about:blank", title, status, detail })
