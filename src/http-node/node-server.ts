/**
 * Connects handlers to sockets with `node:http`. A body can be refused while it arrives; a streamed answer goes at the
 * reader's pace and holds no more than the socket's own buffer (promise 6); a stop ends every answer cleanly.
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
import { acceptArrivals, closeIdleAfterGrace } from "./stopping.ts"
import type { ClientError, HttpSocket } from "./turns.ts"
import { Turns } from "./turns.ts"
import { WriteTurns } from "./write-turns.ts"

export interface ServerOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  readonly handler: Handler
  readonly limits?: ServerLimits
  /** How many connections beyond the limit are accepted, to refuse their requests with the reason. */
  readonly connectionsBeyond?: number
}

type ServerLimits = Pick<
  Limits,
  "bodiesBytesMax" | "connectionsMax" | "headersMillis" | "requestMillis" | "stallMillis"
>

export interface RunningServer {
  readonly host: string
  readonly port: number
  /** Returns how many connections are open now. */
  readonly connections: () => number
}

/** A request can take this much longer than its limit. With Node's own 30 seconds, a slow header would stay for 91. */
const connectionsCheckingInterval = 1_000

/** Longer than the idle time of common proxies and client pools, so that the client closes first. */
const keepAliveTimeout = 75_000

/** Proxies and phones drop silent connections after 30 to 60 seconds. */
const keepAliveEvery = "15 seconds"

/** How long answers under way may take when the server must stop; a stop may take two seconds in all. */
const stopTimeout = "1500 millis"

/** Starts to listen, and stops with the scope. */
export const serve = Effect.fnUntraced(function*(options: ServerOptions) {
  const { bodiesBytesMax, connectionsMax, headersMillis, requestMillis, stallMillis } = options.limits ?? defaultLimits
  const services = yield* Effect.context<never>()
  const state: Sending = { open: new Map(), stallMillis, stopping: false, writes: new WriteTurns() }
  const answerings = new Answerings(Effect.runForkWith(services))
  const bodies = new Bodies(bodiesBytesMax)
  const stopSignal = yield* Deferred.make<void>()
  const stopping = Deferred.await(stopSignal)

  const onRequest = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    const incoming = new NodeIncoming(request, response, bodies, stopping)
    const refusal = connections.refusal(request, response)
    if (refusal !== undefined) incoming.hasRefusedBody = true
    const answering = refusal === undefined ? options.handler(incoming) : Effect.succeed(refusal)
    const interrupt = answerings.start(
      answering,
      (answer) => send(incoming, response, answer, state),
      // The handler answers every failure that it expects. Any other is our bug, and the client must not wait for it.
      () => {
        if (!response.writableEnded) response.destroy()
      }
    )
    // The response also closes after every whole answer, when there is nothing left to interrupt.
    if (interrupt !== undefined) response.on("close", interrupt)
  }

  const server = Http.createServer({
    headersTimeout: headersMillis,
    connectionsCheckingInterval,
    requestTimeout: requestMillis,
    keepAliveTimeout,
    noDelay: true,
    // The guard refuses a request without `Host`, as a problem.
    requireHostHeader: false,
    // The kernel notices a dead client, so that its connection does not stay for ever.
    keepAlive: true,
    keepAliveInitialDelay: 60_000
  })
  const turns = new Turns(server, requestMillis, (response) => state.open.has(response), probeHalfClosed(server, state))
  state.onFollowing = (socket) => turns.onFollowing(socket)
  const takeInTurn = (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    // Node's parser drops the bytes that it has read behind a request for another protocol. No byte behind it may be taken
    // for a request, so its answer closes the connection.
    if (request.headers.upgrade !== undefined) response.shouldKeepAlive = false
    turns.take(request, response, onRequest)
  }
  server.on("request", takeInTurn)
  server.on("checkContinue", takeInTurn)
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
        yield* acceptArrivals(connections)
        // Node's own `close` would also cut connections on which a request is just arriving.
        const close = Effect.callback<void>((resume) => {
          NetServer.prototype.close.call(server, () => resume(Effect.void))
        })
        const closing = yield* Effect.forkChild(close, { startImmediately: true })
        for (const stream of state.open.values()) stream.end()
        yield* Deferred.succeed(stopSignal, undefined)
        // Every connection closes after its last answer. A connection that Node takes for idle may still have bytes to send.
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
