/**
 * One request of a connection at a time (RFC 9112 9.3.2): a request that comes while the answer in front of it is under way
 * waits unhandled, and nothing is counted for it. Only its head is parsed; what comes behind it waits as bytes, and few of
 * them. A connection whose requests come one by one pays nothing for this.
 *
 * Node parses on while an answer is under way. Its parser is stopped here in the middle of what it was given, which Node
 * reports as an error of the client (`HPE_PAUSED`), with all the bytes. They are given back when the answer has ended.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import { endOf, refuseMalformed } from "./refusals.ts"

/** What of Node's own is used here and not in its types. */
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
  /** Takes a request whose head is parsed, and says how the parser goes on: 0 is as usual. */
  onIncoming: (request: Http.IncomingMessage, keepAlive: boolean) => number
  nodesOnIncoming?: Parser["onIncoming"]
}

/** The parser's own word (HPE_PAUSED): it stops behind the head. */
const pause = 21

/** A parser's error, with what it was given and how much of that it took. */
export interface ClientError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer
  readonly bytesParsed?: number
}

/** As much as Node reads at once. A connection of which more waits is not read, and the client has to wait, too. */
const waitingBytesMax = 64 * 1024

type Handle = (request: Http.IncomingMessage, response: Http.ServerResponse) => void

/** What waits of a connection. */
interface Line {
  held: boolean
  /** Whether the parser has been stopped for what is held: from then on it takes nothing. */
  stopped: boolean
  pieces: Array<Buffer>
  bytes: number
  /** Whether nothing of it will be answered. */
  over: boolean
  /** Whether the client has ended its side, which Node is not told before its turn. */
  ended: boolean
  readonly ends: ReadonlyArray<() => void>
  /** Whether the time in which the request must arrive has passed while it waited for its turn. */
  late: boolean
}

export class Turns {
  readonly #lines = new WeakMap<Socket, Line>()
  readonly #requestMillis: number
  readonly #isFollowing: (response: Http.ServerResponse) => boolean
  readonly #onEnd: (this: Socket) => void

  /** `onEnd` listens to the end of every connection, and is not to wait for it. */
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
      return lines.get(request.socket)?.held === true ? pause : usual
    }
    server.on("connection", ({ parser }: HttpSocket) => {
      if (parser == null) return
      parser.nodesOnIncoming = parser.onIncoming
      parser.onIncoming = onIncoming
    })
  }

  /** Handles the request now, or as soon as the answer in front of it has ended; never, if that is the last. */
  take(request: Http.IncomingMessage, response: Http.ServerResponse, handle: Handle): void {
    // Node gives the socket to one answer at a time.
    if (response.socket !== null) return handle(request, response)
    const socket = request.socket as HttpSocket
    const line = this.#lines.get(socket) ?? this.#begin(socket)
    line.held = true
    line.stopped = false
    if (socket._paused === true) {
      // Node would start its parser again when the socket has drained. The socket is read on: so its end is noticed.
      socket._paused = false
      socket.resume()
    }
    // A tick later Node has done all that it does when an answer ends.
    response.once(
      "socket",
      () => process.nextTick(() => this.#goOn(socket, line, () => handle(request, response), request))
    )
  }

  /** Keeps what a connection brings while a request of it waits; false: the error is another one. */
  keep(error: ClientError, socket: HttpSocket): boolean {
    const line = this.#lines.get(socket)
    if (line?.held !== true) return false
    if (line.over) return true
    if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") return line.late = true
    if (error.code !== "HPE_PAUSED" || error.rawPacket === undefined) return false
    // What a parser that stands still says it has parsed means nothing.
    const rest = line.stopped ? error.rawPacket : error.rawPacket.subarray(error.bytesParsed)
    line.stopped = true
    line.bytes += rest.length
    line.pieces.push(rest)
    if (line.bytes >= waitingBytesMax) this.#full(socket)
    return true
  }

  /** A following has begun on this connection. */
  followed(socket: Socket | null): void {
    const line = socket === null ? undefined : this.#lines.get(socket)
    if (line?.held === true && line.bytes >= waitingBytesMax) this.#full(socket as HttpSocket)
  }

  /** Nothing behind a following is answered soon, and a connection that is not read does not show that its client left. */
  #full(socket: HttpSocket): void {
    const front = socket._httpMessage
    if (front != null && this.#isFollowing(front)) socket.destroy()
    else socket.pause()
  }

  #begin(socket: HttpSocket): Line {
    const ends = (socket.listeners("end") as Array<() => void>).filter((end) => end !== this.#onEnd)
    const line: Line = {
      held: false,
      stopped: false,
      pieces: [],
      bytes: 0,
      over: false,
      ended: false,
      ends,
      late: false
    }
    this.#lines.set(socket, line)
    for (const end of ends) socket.off("end", end)
    socket.once("end", () => line.ended = true)
    // A connection that is closed with unread bytes is reset, and the last answer can be lost with it.
    socket.destroySoon = () => {
      line.over = true
      line.pieces = []
      endOf(socket)
    }
    return line
  }

  /** Handles what was held, and has the parser go on until it holds the next one. */
  #goOn(socket: HttpSocket, line: Line, handle: () => void, request: Http.IncomingMessage): void {
    if (socket.destroyed || line.over) return
    const bytes = line.pieces.length === 1 ? line.pieces[0]! : Buffer.concat(line.pieces)
    const { late } = line
    Object.assign(line, { held: false, pieces: [], bytes: 0, late: false })
    handle()
    if (late) this.#allow(socket, request)
    socket.parser?.resume()
    // As if it came now.
    socket.emit("data", bytes)
    if (line.held) {
      if (line.bytes < waitingBytesMax && socket.isPaused()) socket.resume()
      return
    }
    this.#lines.delete(socket)
    delete (socket as Partial<Socket>).destroySoon
    // A tunnel was asked for: Node has let go, and its parser may be another connection's by now.
    if (socket.parser == null) return
    if (line.ended) {
      for (const end of line.ends) end.call(socket)
      return
    }
    socket.removeAllListeners("end").on("end", this.#onEnd)
    for (const end of line.ends) socket.on("end", end)
    if (socket.isPaused()) socket.resume()
  }

  /** Node looks at a request's time once, and that was before its turn. */
  #allow(socket: Socket, request: Http.IncomingMessage): void {
    // A matter of sockets and not of the program's time, like Node's own.
    const timer = setTimeout(() => {
      const error: ClientError = Object.assign(new Error("Request timeout"), { code: "ERR_HTTP_REQUEST_TIMEOUT" })
      if (!request.complete) refuseMalformed(error, socket)
    }, this.#requestMillis).unref()
    const clear = () => clearTimeout(timer)
    request.once("end", clear).once("close", clear)
  }
}
