/**
 * An answer on its way to a socket: whole, or streamed at the reader's pace. It holds no more than the socket's own buffer
 * (promise 6), and a reader that takes nothing for too long is cut off.
 */
import { Effect, Exit } from "effect"
import type * as Http from "node:http"
import type { Socket } from "node:net"
import type { Answer, Live, Streamed } from "../http/exchange.ts"
import { reusedBytesMin } from "../http/exchange.ts"
import type { NodeIncoming } from "./node-incoming.ts"
import { answeredEarly } from "./refusals.ts"

/** Up to here copying a body costs less than sending it apart from its headers. */
const joinedBytesMax = 4 * 1024

/** Sends the answer, or as much of it as there is; what is answered here is to be run for the rest. */
export const send = (incoming: NodeIncoming, response: Http.ServerResponse, answer: Answer, state: Sending) => {
  const { body, headers, status } = answer
  if (response.destroyed) return undefined
  if (!response.req.complete && response.socket !== null) answeredEarly(response.socket, response.req)
  if (incoming.refusedBody || state.stopping) response.setHeader("connection", "close")
  if (typeof body === "object" && "_tag" in body) {
    response.writeHead(status, headers)
    if (incoming.method === "HEAD") return void response.end()
    response.flushHeaders()
    return stream(response, body, state)
  }
  if (body === undefined) {
    // What a GET would send is not known to HEAD here, and a length that is not that one must not be said (RFC 9110 8.6).
    const isEmpty = status !== 204 && status !== 304 && incoming.method !== "HEAD"
    response.writeHead(status, isEmpty ? { ...headers, "content-length": "0" } : headers)
    return void response.end()
  }
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length
  response.writeHead(status, { ...headers, "content-length": length })
  if (incoming.refusedBody) {
    // Closing on bytes still under way resets the connection, and the caller would never read why.
    response.write(body)
    return Effect.andThen(incoming.discardRest, Effect.sync(() => void response.end()))
  }
  if (incoming.method === "HEAD") response.end()
  else if (typeof body === "string" || body.length > joinedBytesMax) {
    response.end(body)
    // When it is gone, Node sets the time that it waits for the next request.
    if (response.writableLength > 0) response.socket?.setTimeout(state.stallMillis)
  } // Node sends a string in one piece with the headers, but bytes as a second one.
  else response.end(asBuffer(body).toString("latin1"), "latin1")
  return undefined
}

/** What all answers of a server share. */
export interface Sending {
  /** The followings under way. */
  readonly open: Map<Http.ServerResponse, OpenStream>
  readonly stallMillis: number
  stopping: boolean
  /** Told of each following that begins. */
  followed?: (socket: Socket | null) => void
}

interface OpenStream {
  readonly keepAlive: () => void
  readonly end: () => void
}

/** Writes what `pull` gives until it ends, or the caller leaves. A following (what is kept alive) the server may end, too. */
const stream = (
  response: Http.ServerResponse,
  body: Streamed,
  { followed, open, stallMillis, stopping }: Sending
): Effect.Effect<void, unknown> =>
  Effect.withFiber((fiber) => {
    let ended = false
    const self: OpenStream = {
      keepAlive: () => {
        // Bytes still waiting to be taken prove nothing to anybody, and one more would only add to them.
        if (body.keepAlive !== undefined && response.writableLength === 0) response.write(body.keepAlive)
      },
      end: () => {
        ended = true
        fiber.interruptUnsafe()
      }
    }
    // Only a following may be ended early: any other answer would look whole, and is finished or cut.
    if (body.keepAlive !== undefined) {
      open.set(response, self)
      followed?.(response.socket)
      // The others were told already. What is at hand, such as where it begins, is sent before.
      if (stopping) setImmediate(self.end)
    }
    // Not in the loop below, which would keep the last bytes for as long as it follows.
    const sendsOn = Effect.flatMap(body.pull, (bytes) =>
      bytes === undefined ? Effect.succeed(false) : Effect.as(written(response, bytes, stallMillis), true))
    const sending = Effect.gen(function*() {
      do {
        if (body.live !== undefined) {
          yield* following(response, body.live, stallMillis)
        }
      } while (yield* sendsOn)
    })
    // Once for the answer and not for every piece of it. Pieces are written whole, so it never ends within one.
    const sent = body.endsAfterMillis === undefined
      ? sending
      : Effect.timeoutOrElse(sending, {
        duration: body.endsAfterMillis,
        orElse: () =>
          Effect.void
      })
    return sent.pipe(Effect.onExit((exit) =>
      Effect.sync(() => {
        open.delete(response)
        if (ended) response.end(() => response.socket?.destroySoon())
        else if (Exit.isSuccess(exit)) response.end()
        else response.destroy()
      })
    ))
  })

/**
 * Writes, and waits while the reader is slow: until the socket's buffer has room again, or, for bytes whose memory will be
 * used again, until the system has them. One step, so that no `drain` falls between the writing and the waiting.
 */
const written = (response: Http.ServerResponse, bytes: Uint8Array, stallMillis: number) =>
  Effect.callback<void>((resume) => {
    const done = () => {
      response.socket?.setTimeout(0)
      resume(Effect.void)
    }
    if (bytes.length >= reusedBytesMin) {
      response.write(bytes, done)
      return mustTake(response, stallMillis)
    }
    if (response.write(bytes)) return resume(Effect.void)
    mustTake(response, stallMillis)
    response.once("drain", done)
    return Effect.sync(() => response.off("drain", done))
  })

/** Node closes a connection of which the system has taken nothing for so long; it counts from the last that it took. */
const mustTake = ({ socket }: Http.ServerResponse, stallMillis: number): void => void socket?.setTimeout(stallMillis)

/** Writes what there is to take, as it comes and at the reader's pace, until something is to be pulled. */
const following = (response: Http.ServerResponse, live: Live, stallMillis: number) =>
  Effect.callback<void>((resume) => {
    const { socket } = response
    // Of another version of HTTP, or behind an answer to a request before: those know how to write for themselves.
    const to = socket !== null && response.chunkedEncoding ? socket : undefined
    const drained = () => {
      socket?.setTimeout(0)
      go()
    }
    const go = () => {
      while (true) {
        const bytes = live.take()
        if (bytes === "pull") return resume(Effect.void)
        if (bytes === undefined) return live.wait(go)
        const hasRoom = to === undefined ? response.write(bytes) : to.write(toChunk(bytes))
        if (hasRoom) continue
        mustTake(response, stallMillis)
        return void (to ?? response).once("drain", drained)
      }
    }
    go()
    return Effect.sync(() => {
      live.leave(go)
      ;(to ?? response).off("drain", drained)
    })
  })

/** The bytes as a chunk (RFC 9112 7.1), made once for all who are sent them in a row. */
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
