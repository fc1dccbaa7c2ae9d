/**
 * Brings handlers to sockets with `node:http`: bodies are refused while they arrive, streamed answers go at the reader's
 * pace and hold no more than the socket's own buffer (promise 6), and stopping ends every answer cleanly.
 */
import { Deferred, Effect, Fiber, Schedule, type Scope } from "effect"
import * as Http from "node:http"
import { type AddressInfo, Server as NetServer } from "node:net"
import type { Limits } from "../domain/limits.ts"
import { defaultLimits } from "../domain/limits.ts"
import type { Handler } from "../http/direct.ts"
import { Answerings } from "../http/direct.ts"
import { Bodies } from "./bodies.ts"
import { beyondMax, Connections } from "./connections.ts"
import { probeHalfClosed } from "./half-closed.ts"
import { listen } from "./listening.ts"
import { NodeIncoming } from "./node-incoming.ts"
import { refuseExpectation, refuseMalformed, refuseTunnel } from "./refusals.ts"
import type { Sending } from "./sending.ts"
import { send } from "./sending.ts"
import type { ServerNotStarted } from "./server-not-started.ts"
import { allArrived, closeIdleAfterGrace } from "./stopping.ts"
import type { ClientError, HttpSocket } from "./turns.ts"
import { Turns } from "./turns.ts"

export interface ServerOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  readonly handler: Handler
  readonly limits?: ServerLimits
  /** How many connections beyond the limit are told so. */
  readonly connectionsBeyond?: number
}

type ServerLimits = Pick<
  Limits,
  "bodiesBytesMax" | "connectionsMax" | "headersMillis" | "requestMillis" | "stallMillis"
>

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

/** Starts listening; stops with the scope. */
export const serve = Effect.fnUntraced(function*(options: ServerOptions) {
  const { bodiesBytesMax, connectionsMax, headersMillis, requestMillis, stallMillis } = options.limits ?? defaultLimits
  const services = yield* Effect.context<never>()
  const state: Sending = { open: new Map(), stallMillis, stopping: false }
  const answerings = new Answerings(Effect.runForkWith(services))
  const bodies = new Bodies(bodiesBytesMax)
  const told = yield* Deferred.make<void>()
  const stops = Deferred.await(told)

  const onRequest = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    const incoming = new NodeIncoming(request, response, bodies, stops)
    const refused = connections.refusal(request, response)
    if (refused !== undefined) incoming.refusedBody = true
    const answering = refused === undefined ? options.handler(incoming) : Effect.succeed(refused)
    const interrupt = answerings.start(
      answering,
      (answer) => send(incoming, response, answer, state),
      // The handler answers everything that it foresaw. The rest is our bug, for which the caller must not wait.
      () => {
        if (!response.writableEnded) response.destroy()
      }
    )
    // Also told after every answer, when there is nothing left to interrupt.
    if (interrupt !== undefined) response.on("close", interrupt)
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
  const turns = new Turns(server, requestMillis, (response) => state.open.has(response), probeHalfClosed(server, state))
  state.followed = (socket) => turns.followed(socket)
  const inTurn = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    // Node's parser drops what it has read behind a request for another protocol: nothing of it may be taken for a request.
    if (request.headers.upgrade !== undefined) response.shouldKeepAlive = false
    turns.take(request, response, onRequest)
  }
  server.on("request", inTurn)
  server.on("checkContinue", inTurn)
  server.on("checkExpectation", (request, response) => turns.take(request, response, refuseExpectation))
  server.on("connect", refuseTunnel)
  server.on("clientError", (error: ClientError, socket) => {
    if (!turns.keep(error, socket as HttpSocket)) refuseMalformed(error, socket as HttpSocket)
  })
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
        for (const stream of state.open.values()) stream.end()
        yield* Deferred.succeed(told, undefined)
        // Every connection closes behind its last answer. Those that Node takes for idle may still have bytes to send.
        yield* answerings.idle.pipe(
          Effect.andThen(Effect.raceFirst(Fiber.join(closing), closeIdleAfterGrace(server))),
          Effect.andThen(Fiber.join(closing)),
          Effect.timeout(stopTimeout),
          Effect.ignore
        )
        server.closeAllConnections()
      })
  )

  yield* Effect.sync(() => {
    for (const stream of state.open.values()) stream.keepAlive()
  }).pipe(Effect.repeat(Schedule.spaced(keepAliveEvery)), Effect.forkScoped)

  const { address, port } = server.address() as AddressInfo
  return { host: address, port, connections: () => connections.size } satisfies RunningServer
}) satisfies (options: ServerOptions) => Effect.Effect<RunningServer, ServerNotStarted, Scope.Scope>
