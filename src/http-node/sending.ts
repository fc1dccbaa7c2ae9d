/**
 * Sends an answer to a socket: whole, or streamed at the reader's pace. The answer holds no more than the socket's own
 * buffer (promise 6). The server cuts off a reader that takes nothing for too long.
 */
import { Effect, Exit } from "effect"
import type * as Http from "node:http"
import type { Socket } from "node:net"
import type { Answer, Live, Streamed } from "../http/exchange.ts"
import { reusedBytesMin } from "../http/exchange.ts"
import type { NodeIncoming } from "./node-incoming.ts"
import { noteEarlyAnswer } from "./refusals.ts"
import type { WriteTurns } from "./write-turns.ts"

/** Copying a body of this size or less costs less than sending it apart from its headers. */
const joinedBytesMax = 4 * 1024

/** Sends the answer, or its beginning. Returns the effect that sends the rest; the caller must run it. */
export const send = (incoming: NodeIncoming, response: Http.ServerResponse, answer: Answer, state: Sending) => {
  const { body, headers, status } = answer
  if (response.destroyed) return undefined
  if (!response.req.complete && response.socket !== null) noteEarlyAnswer(response.socket, response.req)
  if (incoming.hasRefusedBody || state.stopping) response.setHeader("connection", "close")
  if (typeof body === "object" && "_tag" in body) {
    response.writeHead(status, headers)
    if (incoming.method === "HEAD") return void response.end()
    response.flushHeaders()
    return stream(response, body, state)
  }
  if (body === undefined) {
    // HEAD must state the length that GET would send, or none (RFC 9110 8.6). Here that length is not known.
    const isEmpty = status !== 204 && status !== 304 && incoming.method !== "HEAD"
    response.writeHead(status, isEmpty ? { ...headers, "content-length": "0" } : headers)
    return void response.end()
  }
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length
  response.writeHead(status, { ...headers, "content-length": length })
  if (incoming.hasRefusedBody) {
    // Closing while bytes are under way would reset the connection, and the client would never read the reason.
    response.write(body)
    return Effect.andThen(incoming.discardRest, Effect.sync(() => void response.end()))
  }
  if (incoming.method === "HEAD") response.end()
  else if (typeof body === "string" || body.length > joinedBytesMax) {
    response.end(body)
    // After the last byte, Node sets the timeout to the time that it waits for the next request.
    if (response.writableLength > 0) response.socket?.setTimeout(state.stallMillis)
  } // Node sends a string in one piece with the headers, but bytes as a second piece.
  else response.end(asBuffer(body).toString("latin1"), "latin1")
  return undefined
}

/** The state that all answers of a server share. */
export interface Sending {
  /** The followings under way. */
  readonly open: Map<Http.ServerResponse, OpenStream>
  readonly stallMillis: number
  readonly writes: WriteTurns
  stopping: boolean
  /** Called for each following that begins. */
  onFollowing?: (socket: Socket | null) => void
}

interface OpenStream {
  readonly keepAlive: () => void
  readonly end: () => void
}

/**
 * Writes the bytes that `pull` returns until it ends or the client leaves. The server, too, may end a following: a body with
 * `keepAlive`.
 */
const stream = (
  response: Http.ServerResponse,
  body: Streamed,
  { onFollowing, open, stallMillis, stopping, writes }: Sending
): Effect.Effect<void, unknown> =>
  Effect.withFiber((fiber) => {
    let isEnded = false
    const self: OpenStream = {
      keepAlive: () => {
        // While bytes wait for the reader, a comment proves nothing and would only add to them.
        if (body.keepAlive !== undefined && response.writableLength === 0) response.write(body.keepAlive)
      },
      end: () => {
        isEnded = true
        fiber.interruptUnsafe()
      }
    }
    // Only a following may end early: any other answer would look whole, so it is finished or its connection is cut.
    if (body.keepAlive !== undefined) {
      open.set(response, self)
      onFollowing?.(response.socket)
      // The stop has ended the other followings. This one first sends the bytes at hand, such as the place it begins at.
      if (stopping) setImmediate(self.end)
    }
    // Apart from the loop below, which would keep the last bytes in memory for as long as it follows.
    const sendNext = Effect.flatMap(body.pull, (bytes) =>
      bytes === undefined ? Effect.succeed(false) : Effect.as(writeBytes(response, bytes, stallMillis), true))
    const sendAll = Effect.gen(function*() {
      do {
        if (body.live !== undefined) {
          yield* writeLive(response, body.live, stallMillis, writes)
        }
      } while (yield* sendNext)
    })
    // One timeout for the answer and not one for each piece. Pieces are written whole, so the answer never ends within one.
    const sendInTime = body.endsAfterMillis === undefined
      ? sendAll
      : Effect.timeoutOrElse(sendAll, {
        duration: body.endsAfterMillis,
        orElse: () =>
          Effect.void
      })
    return sendInTime.pipe(Effect.onExit((exit) =>
      Effect.sync(() => {
        open.delete(response)
        if (isEnded) response.end(() => response.socket?.destroySoon())
        else if (Exit.isSuccess(exit)) response.end()
        else response.destroy()
      })
    ))
  })

/**
 * Writes, and waits while the reader is slow: until the socket's buffer has room again or, for bytes whose memory will be
 * used again, until the system has them. This is one step, so that no `drain` falls between the write and the wait.
 */
const writeBytes = (response: Http.ServerResponse, bytes: Uint8Array, stallMillis: number) =>
  Effect.callback<void>((resume) => {
    const done = () => {
      response.socket?.setTimeout(0)
      resume(Effect.void)
    }
    if (bytes.length >= reusedBytesMin) {
      response.write(bytes, done)
      return limitStall(response, stallMillis)
    }
    if (response.write(bytes)) return resume(Effect.void)
    limitStall(response, stallMillis)
    response.once("drain", done)
    return Effect.sync(() => response.off("drain", done))
  })

/** Node closes the connection when the system has taken no byte of it for so long, counted from the last that it took. */
const limitStall = ({ socket }: Http.ServerResponse, stallMillis: number): void => void socket?.setTimeout(stallMillis)

/** Writes the live bytes as they come and at the reader's pace, until the body must be pulled. */
const writeLive = (response: Http.ServerResponse, live: Live, stallMillis: number, writes: WriteTurns) =>
  Effect.callback<void>((resume) => {
    const { socket } = response
    // In HTTP/1.0, or behind the answer to an earlier request, the response writes the bytes itself.
    const chunkSocket = socket !== null && response.chunkedEncoding ? socket : undefined
    const onDrain = () => {
      socket?.setTimeout(0)
      writeOn()
    }
    const writeOn = () => {
      while (true) {
        if (writes.isOver) return writes.wait(writeOn)
        const bytes = live.take()
        if (bytes === "pull") return resume(Effect.void)
        if (bytes === undefined) return live.wait(writeOn)
        writes.add(bytes.length)
        const hasRoom = chunkSocket === undefined ? response.write(bytes) : chunkSocket.write(toChunk(bytes))
        if (hasRoom) continue
        limitStall(response, stallMillis)
        return void (chunkSocket ?? response).once("drain", onDrain)
      }
    }
    writeOn()
    return Effect.sync(() => {
      live.leave(writeOn)
      writes.leave(writeOn)
      ;(chunkSocket ?? response).off("drain", onDrain)
    })
  })

/** Returns the bytes as a chunk (RFC 9112 7.1), made once for all followers that are sent the same bytes in a row. */
const toChunk = (bytes: Uint8Array): Buffer => {
  if (bytes !== newest.bytes) {
    newest = { bytes, chunk: Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, lineEnd]) }
  }
  return newest.chunk
}

const lineEnd = Buffer.from("\r\n")
let newest: { readonly bytes: Uint8Array | undefined; readonly chunk: Buffer } = { bytes: undefined, chunk: lineEnd }

const asBuffer = (bytes: Uint8Array): Buffer =>
  bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
