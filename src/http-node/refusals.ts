/**
 * Answers the requests that reach no handler, in the form of all refusals.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { toRefusal } from "./malformed.ts"
import type { ClientError, HttpSocket } from "./turns.ts"

/** For a connection, the request that was answered before all of it arrived. The rest of it gets no second answer. */
const earlyRequests = new WeakMap<Duplex, Http.IncomingMessage>()

export const noteEarlyAnswer = (socket: Duplex, request: Http.IncomingMessage): void =>
  void earlyRequests.set(socket, request)

/** Answers a request that the parser refuses. */
export const refuseMalformed = (error: ClientError, socket: Socket) => {
  // A request behind `Connection: close` gets no answer (RFC 9112 9.6); the answer in front closes the connection.
  if (error.code === "HPE_CLOSED_CONNECTION") return
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy()
  if (earlyRequests.get(socket)?.complete === false) return endSocket(socket)
  const { detail, status, title } = toRefusal(error)
  refuseAfterAnswers(socket, () => refuseOnSocket(socket, status, title, detail))
}

/** The sockets that are refused when the answer under way has ended. */
const socketsToRefuse = new WeakSet<Duplex>()

/**
 * Runs `refuse` when no answer to an earlier request is under way, if the connection is open then. While an answer is under
 * way, only the first call for a connection counts.
 */
const refuseAfterAnswers = (socket: HttpSocket, refuse: () => void) => {
  const front = socket._httpMessage
  // The answer in front, if any, belongs to the refused request itself and has not begun.
  if (front == null || !front.req.complete) return refuse()
  if (socketsToRefuse.has(socket)) return
  socketsToRefuse.add(socket)
  // When Node has let go of the socket, only this tells the answer that there is room again.
  if (socket.parser == null) socket.on("drain", () => front.emit("drain"))
  front.once("close", () => {
    // A late request that came after all has its answer under way.
    if (socket.writable && socket._httpMessage == null) refuse()
  })
}

/** Node knows one expectation, `100-continue`; RFC 9110 10.1.1 has an answer for all others. */
export const refuseExpectation = (_request: Http.IncomingMessage, response: Http.ServerResponse) => {
  const title = "Expectation Failed"
  response.writeHead(417, { connection: "close", "content-type": problemType })
  response.end(toProblem(417, title, "Only 100-continue can be expected of this server."))
}

/** Node has let go of the socket, so an error on it without a listener would end the process. */
export const refuseTunnel = (_request: Http.IncomingMessage, socket: Duplex) => {
  socket.on("error", () => socket.destroy())
  refuseAfterAnswers(socket as HttpSocket, () => refuseOnSocket(socket, 400, "Bad Request", "This server is no proxy."))
}

const refuseOnSocket = (socket: Duplex, status: number, title: string, detail: string) => {
  const body = toProblem(status, title, detail)
  endSocket(
    socket,
    `HTTP/1.1 ${status} ${title}\r\nconnection: close\r\ndate: ${new Date().toUTCString()}\r\n` +
      `content-type: ${problemType}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
}

/** Long enough for the answer to cross a slow line. The server drops the bytes that arrive meanwhile. */
const lingerMillis = 1_000

/**
 * Sends the last bytes of a connection and ends it. Node has let go of such a socket: no other listener takes its errors,
 * and nothing else closes it if the client does not.
 */
export const endSocket = (socket: Duplex, text = "") => {
  socket.on("error", () => socket.destroy()).resume().end(text, () => {
    if (socket.destroyed) return
    const timer = setTimeout(() => socket.destroy(), lingerMillis)
    socket.on("close", () => clearTimeout(timer))
  })
}

const problemType = "application/problem+json"

const toProblem = (status: number, title: string, detail: string) =>
  JSON.stringify({ type: "about:blank", title, status, detail })
