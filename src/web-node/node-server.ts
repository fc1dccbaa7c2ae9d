/**
 * Brings handlers to sockets with `node:http`: bodies are refused while they arrive, streamed answers go at the reader's
 * pace and hold no more than the socket's own buffer (promise 6), and stopping ends every answer cleanly.
 */
import { Effect, Exit, Fiber, Schedule, type Scope } from "effect"
import * as Http from "node:http"
import { type AddressInfo, Server as NetServer } from "node:net"
import type { Limits } from "../durable-streams/limits.ts"
import { defaultLimits } from "../durable-streams/limits.ts"
import type { Answer, Handler, Live, Streamed } from "../web/exchange.ts"
import { isDirect, reusedBytesMin } from "../web/exchange.ts"
import { beyondMax, Connections } from "./connections.ts"
import { listen } from "./listening.ts"
import { NodeIncoming } from "./node-incoming.ts"
import { answeredEarly, refuseExpectation, refuseMalformed, refuseTunnel } from "./refusals.ts"
import type { ServerNotStarted } from "./server-not-started.ts"
import { allArrived, closeIdleAfterGrace } from "./stopping.ts"

export interface ServerOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  readonly handler: Handler
  readonly limits?: ServerLimits
  /** How many connections beyond the limit are told so. */
  readonly connectionsBeyond?: number
}

type ServerLimits = Pick<Limits, "connectionsMax" | "headersMillis" | "requestMillis" | "stallMillis">

export interface RunningServer {
  readonly host: string
  readonly port: number
  /** How many are open now. */
  readonly connections: () => number
}

/** How much longer than it may a request can take; with Node's own 30 seconds, a slow header stays for 91. */
const connectionsCheckingInterval = 1_000

/** Longer than the idle time of common proxies and client pools, so that the client is the one that closes. */
const keepAliveTimeout = 75_000

/** Proxies and phones drop silent connections after 30 to 60 seconds. */
const keepAliveEvery = "15 seconds"

/** How long answers under way may take once the server is told to stop; DESIGN allows two seconds in all. */
const stopTimeout = "1500 millis"

/** Up to here copying a body costs less than sending it apart from its headers. */
const joinedBytesMax = 4 * 1024

/** Starts listening; stops with the scope. */
export const serve = Effect.fnUntraced(function*(options: ServerOptions) {
  const { connectionsMax, headersMillis, requestMillis, stallMillis } = options.limits ?? defaultLimits
  const services = yield* Effect.context<never>()
  const runFork = Effect.runForkWith(services)
  const state: State = { open: new Set(), stallMillis, stopping: false }
  const busy = new Set<Fiber.Fiber<void, unknown>>()
  const direct = new Counted()

  const onRequest = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    const incoming = new NodeIncoming(request, response)
    const refused = connections.refusal(request, response)
    if (refused !== undefined) incoming.refusedBody = true
    const answering = refused === undefined ? options.handler(incoming) : Effect.succeed(refused)
    if (isDirect(answering)) {
      let over = false
      direct.begin()
      return answering.start((exit) => {
        // What fails here is told to the route, which tells us again.
        if (over) return void response.destroy()
        over = true
        direct.end()
        if (Exit.isFailure(exit)) return void response.destroy()
        const rest = send(incoming, response, exit.value, state)
        if (rest !== undefined) runFork(rest)
      })
    }
    const fiber = runFork(Effect.scoped(Effect.flatMap(
      answering,
      (answer) => send(incoming, response, answer, state) ?? Effect.void
    )))
    if (fiber.pollUnsafe() !== undefined) return
    busy.add(fiber)
    // Also told after every answer, when there is nothing left to interrupt.
    response.on("close", () => fiber.interruptUnsafe())
    fiber.addObserver((exit) => {
      busy.delete(fiber)
      // The handler answers everything it foresaw; what is left is our bug, and the caller must not wait for it.
      if (Exit.isFailure(exit) && !response.writableEnded) response.destroy()
    })
  }

  const server = Http.createServer({
    headersTimeout: headersMillis,
    connectionsCheckingInterval,
    requestTimeout: requestMillis,
    keepAliveTimeout,
    noDelay: true,
    // A missing `Host` is refused by the guard, as a problem.
    requireHostHeader: false,
    // A dead peer is noticed by the kernel, not kept for ever.
    keepAlive: true,
    keepAliveInitialDelay: 60_000
  })
  server.on("request", onRequest)
  server.on("checkContinue", onRequest)
  server.on("checkExpectation", refuseExpectation)
  server.on("connect", refuseTunnel)
  server.on("clientError", refuseMalformed)
  const connections = new Connections(server, connectionsMax, options.connectionsBeyond ?? beyondMax)

  yield* Effect.acquireRelease(
    listen(server, options),
    () =>
      Effect.gen(function*() {
        state.stopping = true
        yield* allArrived(connections)
        // Node's own `close` would also cut connections on which a request is just arriving.
        const closed = Effect.callback<void>((resume) => {
          NetServer.prototype.close.call(server, () => resume(Effect.void))
        })
        const closing = yield* Effect.forkChild(closed, { startImmediately: true })
        for (const stream of state.open) stream.end()
        // Every connection closes behind its last answer. Those that Node takes for idle may still have bytes to send.
        yield* Effect.forEach([...busy], (fiber) => Fiber.await(fiber), { discard: true }).pipe(
          Effect.andThen(direct.none),
          Effect.andThen(Effect.raceFirst(Fiber.join(closing), closeIdleAfterGrace(server))),
          Effect.andThen(Fiber.join(closing)),
          Effect.timeout(stopTimeout),
          Effect.ignore
        )
        server.closeAllConnections()
      })
  )

  yield* Effect.sync(() => {
    for (const stream of state.open) stream.keepAlive()
  }).pipe(Effect.repeat(Schedule.spaced(keepAliveEvery)), Effect.forkScoped)

  const { address, port } = server.address() as AddressInfo
  return { host: address, port, connections: () => connections.size } satisfies RunningServer
}) satisfies (options: ServerOptions) => Effect.Effect<RunningServer, ServerNotStarted, Scope.Scope>

/** Sends the answer, or as much of it as there is; what is answered here is to be run for the rest. */
const send = (incoming: NodeIncoming, response: Http.ServerResponse, answer: Answer, state: State) => {
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
    response.writeHead(status, status === 204 || status === 304 ? headers : { ...headers, "content-length": "0" })
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

/** Answers under way that have no fiber. */
class Counted {
  #count = 0
  #last: (() => void) | undefined

  begin(): void {
    this.#count++
  }

  end(): void {
    if (--this.#count === 0) this.#last?.()
  }

  /** Waits until there is none. */
  get none(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.#count === 0) return resume(Effect.void)
      this.#last = () => resume(Effect.void)
    })
  }
}

interface State {
  readonly open: Set<OpenStream>
  readonly stallMillis: number
  stopping: boolean
}

interface OpenStream {
  readonly keepAlive: () => void
  readonly end: () => void
}

/** Writes what `pull` gives until it ends, or the caller leaves. A following (what is kept alive) the server may end, too. */
const stream = (
  response: Http.ServerResponse,
  body: Streamed,
  { open, stallMillis, stopping }: State
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
      open.add(self)
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
        open.delete(self)
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
