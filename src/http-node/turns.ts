/**
 * Handles one request of a connection at a time (RFC 9112 9.3.2): a request that comes while the answer in front of it is
 * under way waits unhandled, and nothing is counted for it. Only its head is parsed; the bytes behind the head wait as they
 * are, and they are few. A connection whose requests come one by one pays nothing for this.
 *
 * Node parses on while an answer is under way. This module stops the parser in the middle of its bytes. Node reports that
 * as an error of the client (`HPE_PAUSED`), with all the bytes, and the parser gets them back when the answer has ended.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import { endSocket, refuseMalformed } from "./refusals.ts"

/** The parts of Node's socket that are used here and are missing in its types. */
export interface HttpSocket extends Socket {
  /** Null when Node has let go of the connection. */
  readonly parser?: Parser | null
  /** The answer that may write to the socket. */
  readonly _httpMessage?: Http.ServerResponse | null
  /** Whether Node has stopped reading until the socket has drained. */
  _paused?: boolean
}

interface Parser {
  resume(): void
  /** Takes a request whose head is parsed. Returns how the parser goes on: 0 is as usual. */
  onIncoming: (request: Http.IncomingMessage, keepAlive: boolean) => number
  nodesOnIncoming?: Parser["onIncoming"]
}

/** The parser's own word (HPE_PAUSED): it stops behind the head. */
const pause = 21

/** A parser's error, with the bytes that the parser was given and the number of those that it took. */
export interface ClientError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer
  readonly bytesParsed?: number
}

/** As much as Node reads at once. When as much waits, the server stops reading, and the client has to wait, too. */
const waitingBytesMax = 64 * 1024

type Handle = (request: Http.IncomingMessage, response: Http.ServerResponse) => void

/** The request of a connection that waits for its turn, and the bytes behind it. */
interface Line {
  /** Whether the request still waits. */
  isHeld: boolean
  /** Whether the parser has been stopped for the request that is held: from then on it takes nothing. */
  isStopped: boolean
  pieces: Array<Buffer>
  bytes: number
  /** Whether the connection ends without an answer to the request. */
  isOver: boolean
  /** Whether the client has ended its side. Node is told only when no request waits any more. */
  hasEnded: boolean
  /** Node's own listeners to the end of the connection. */
  readonly ends: ReadonlyArray<() => void>
  /** Whether the time in which the request must arrive has passed while it waited for its turn. */
  isLate: boolean
}

export class Turns {
  readonly #lines = new WeakMap<Socket, Line>()
  readonly #requestMillis: number
  readonly #isFollowing: (response: Http.ServerResponse) => boolean
  readonly #onEnd: (this: Socket) => void

  /** `onEnd` listens to the end of every connection, and hears it at once even when a request waits. */
  constructor(
    server: Http.Server,
    requestMillis: number,
    isFollowing: (response: Http.ServerResponse) => boolean,
    onEnd: (this: Socket) => void
  ) {
    this.#requestMillis = requestMillis
    this.#isFollowing = isFollowing
    this.#onEnd = onEnd
    const lines = this.#lines
    function onIncoming(this: Parser, request: Http.IncomingMessage, keepAlive: boolean): number {
      const usual = this.nodesOnIncoming!(request, keepAlive)
      return lines.get(request.socket)?.isHeld === true ? pause : usual
    }
    server.on("connection", ({ parser }: HttpSocket) => {
      if (parser == null) return
      parser.nodesOnIncoming = parser.onIncoming
      parser.onIncoming = onIncoming
    })
  }

  /** Handles the request now, or as soon as the answer in front has ended; never if the connection ends with that answer. */
  take(request: Http.IncomingMessage, response: Http.ServerResponse, handle: Handle): void {
    // Node gives the socket to one answer at a time.
    if (response.socket !== null) return handle(request, response)
    const socket = request.socket as HttpSocket
    const line = this.#lines.get(socket) ?? this.#begin(socket)
    line.isHeld = true
    line.isStopped = false
    if (socket._paused === true) {
      // Node would start its parser again when the socket has drained. The server reads on, so that it notices the end.
      socket._paused = false
      socket.resume()
    }
    // A tick later Node has done all its work for the end of an answer.
    response.once(
      "socket",
      () => process.nextTick(() => this.#goOn(socket, line, () => handle(request, response), request))
    )
  }

  /** Keeps the bytes that a connection brings while its request waits. Returns false when the error is another one. */
  keep(error: ClientError, socket: HttpSocket): boolean {
    const line = this.#lines.get(socket)
    if (line?.isHeld !== true) return false
    if (line.isOver) return true
    if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") return line.isLate = true
    if (error.code !== "HPE_PAUSED" || error.rawPacket === undefined) return false
    // The count of parsed bytes means nothing when the parser stands still.
    const rest = line.isStopped ? error.rawPacket : error.rawPacket.subarray(error.bytesParsed)
    line.isStopped = true
    line.bytes += rest.length
    line.pieces.push(rest)
    if (line.bytes >= waitingBytesMax) this.#stopReading(socket)
    return true
  }

  /** Called when a following has begun on this connection. */
  onFollowing(socket: Socket | null): void {
    const line = socket === null ? undefined : this.#lines.get(socket)
    if (line?.isHeld === true && line.bytes >= waitingBytesMax) this.#stopReading(socket as HttpSocket)
  }

  /**
   * Pauses a connection on which too much waits. Closes it when a following is in front: no request behind a following is
   * answered soon, and a connection that is not read does not show that its client left.
   */
  #stopReading(socket: HttpSocket): void {
    const front = socket._httpMessage
    if (front != null && this.#isFollowing(front)) socket.destroy()
    else socket.pause()
  }

  #begin(socket: HttpSocket): Line {
    const ends = (socket.listeners("end") as Array<() => void>).filter((end) => end !== this.#onEnd)
    const line: Line = {
      isHeld: false,
      isStopped: false,
      pieces: [],
      bytes: 0,
      isOver: false,
      hasEnded: false,
      ends,
      isLate: false
    }
    this.#lines.set(socket, line)
    for (const end of ends) socket.off("end", end)
    socket.once("end", () => line.hasEnded = true)
    // Closing a connection that has unread bytes resets it, and the client can lose the last answer.
    socket.destroySoon = () => {
      line.isOver = true
      line.pieces = []
      endSocket(socket)
    }
    return line
  }

  /** Handles the request that was held, and lets the parser go on until it holds the next one. */
  #goOn(socket: HttpSocket, line: Line, handle: () => void, request: Http.IncomingMessage): void {
    if (socket.destroyed || line.isOver) return
    const bytes = line.pieces.length === 1 ? line.pieces[0]! : Buffer.concat(line.pieces)
    const { isLate } = line
    Object.assign(line, { isHeld: false, pieces: [], bytes: 0, isLate: false })
    handle()
    if (isLate) this.#restartTimeout(socket, request)
    socket.parser?.resume()
    // The parser takes the bytes as if they came now.
    socket.emit("data", bytes)
    if (line.isHeld) {
      if (line.bytes < waitingBytesMax && socket.isPaused()) socket.resume()
      return
    }
    this.#lines.delete(socket)
    delete (socket as Partial<Socket>).destroySoon
    // The request asked for a tunnel: Node has let go of the socket, whose parser may be another connection's by now.
    if (socket.parser == null) return
    if (line.hasEnded) {
      for (const end of line.ends) end.call(socket)
      return
    }
    socket.removeAllListeners("end").on("end", this.#onEnd)
    for (const end of line.ends) socket.on("end", end)
    if (socket.isPaused()) socket.resume()
  }

  /** Starts the time again in which the request must arrive: Node checked it once, and that was before its turn. */
  #restartTimeout(socket: Socket, request: Http.IncomingMessage): void {
    // Real time and not the program's clock, like Node's own timers.
    const timer = setTimeout(() => {
      const error: ClientError = Object.assign(new Error("Request timeout"), { code: "ERR_HTTP_REQUEST_TIMEOUT" })
      if (!request.complete) refuseMalformed(error, socket)
    }, this.#requestMillis).unref()
    const clear = () => clearTimeout(timer)
    request.once("end", clear).once("close", clear)
  }
}
