/**
 * The server: lock, storage, streams, routes and network, stacked. It stops with its scope: followers get a clean end,
 * appends under way are finished, then the lock is freed.
 */
import type { Config } from "effect"
import { Context, DateTime, Effect, Layer, type Scope } from "effect"
import * as fs from "node:fs"
import { getHeapStatistics } from "node:v8"
import { makeDataDirectory, readDigits } from "../data-directory/data-directory.ts"
import { tryLock } from "../data-directory/lock.ts"
import { type DaemonFailed, DataDirectoryInUse, filesOf } from "../data-directory/paths.ts"
import { type DataDirectoryNotTrusted, refuseForeign } from "../data-directory/trusted-directory.ts"
import type { StorageError } from "../domain/errors.ts"
import type { Limits } from "../domain/limits.ts"
import { CurrentLimits, fixedLimits } from "../domain/limits.ts"
import { version } from "../domain/version.ts"
import { ActiveFactory, type StreamFactory } from "../hooks/stream-factory.ts"
import { fileLimit, fileShares } from "../http-node/file-limit.ts"
import type { RunningServer } from "../http-node/node-server.ts"
import { serve } from "../http-node/node-server.ts"
import type { ServerNotStarted } from "../http-node/server-not-started.ts"
import { PublicUrl } from "../http/public-url.ts"
import { Followers } from "../manager/followers.ts"
import { layerStreamLimit, StreamCount } from "../manager/stream-limit.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import { HttpRoutes } from "../native-api/http-routes.ts"
import { protocolRoutes } from "../protocol/protocol-routes.ts"
import { layerRegistry } from "../protocol/registry.ts"
import { Storage } from "../storage/storage.ts"
import { ServerInfo } from "../stream-http/server-info.ts"
import { WebhookCallsMax } from "../subscriptions/running/call-line.ts"
import { subscriptionRoutes } from "../subscriptions/subscription-routes.ts"
import { Subscriptions } from "../subscriptions/subscriptions.ts"
import { Keys } from "../subscriptions/webhook/keys.ts"
import { type Own, OwnAddress } from "../subscriptions/webhook/own-address.ts"
import { WebhookSender } from "../subscriptions/webhook/webhook-sender.ts"
import { isTakenBeside } from "./daemon/beside-port.ts"
import { clearPlace } from "./daemon/daemon-files.ts"
import { DaemonSecret, proofOf } from "./daemon/daemon-secret.ts"
import { identityOf } from "./daemon/process-identity.ts"
import { limitsInForce } from "./server/limit-settings.ts"
import type { ServerSettings } from "./server/settings.ts"
import { defaults } from "./server/settings.ts"
import type { MakeStorage } from "./server/storages.ts"
import { storages } from "./server/storages.ts"

/** Where the server listens. */
export class Server extends Context.Service<Server, RunningServer>()("durable-streams/server") {
  /**
   * A whole server, with its data directory locked. The factory decides which hooks its streams have; `makeStorage` is
   * for a storage that no setting names.
   */
  static readonly layer = (
    settings: ServerSettings,
    factory: Layer.Layer<StreamFactory, never, Storage> = ActiveFactory,
    makeStorage: MakeStorage = storages[settings.storage]
  ): Layer.Layer<
    Server | StreamManager,
    DaemonFailed | DataDirectoryInUse | DataDirectoryNotTrusted | StorageError | ServerNotStarted | Config.ConfigError
  > => {
    // Where the system does not say how many, there is no reason to hold back.
    const shares = fileShares(fileLimit() ?? Infinity)
    const storage = makeStorage({
      dataDirectory: settings.dataDirectory,
      durability: settings.durability,
      // A log must never find the last descriptor gone.
      openFilesMax: shares.logs
    })
    const limits = Layer.sync(
      CurrentLimits,
      () =>
        limitsInForce(
          { ...settings.limits, bodyBytesMax: settings.bodyBytesMax },
          shares.connections,
          getHeapStatistics().heap_size_limit
        )
    )
    // Known to the routes before there are any.
    const open: Open = { connections: () => 0, port: () => 0 }
    const own: Own = { listening: undefined, publicUrl: undefined }
    const publicUrl = PublicUrl.layer.pipe(
      Layer.tap((context) => Effect.sync(() => own.publicUrl = Context.get(context, PublicUrl).told?.url))
    )
    const manager = StreamManager.layer.pipe(
      Layer.provide(factory),
      Layer.provideMerge(layerStreamLimit),
      Layer.provide(storage),
      Layer.provideMerge(limits)
    )
    const subscriptions = Subscriptions.layer.pipe(
      Layer.provideMerge(Layer.mergeAll(
        Keys.layer(filesOf(settings.dataDirectory).keys),
        // A server that others can reach is not one under development.
        WebhookSender.layer(isLoopback(settings.host))
      )),
      Layer.provide(Layer.merge(Layer.succeed(OwnAddress, own), Layer.succeed(WebhookCallsMax, shares.webhooks))),
      Layer.provide(storage)
    )
    const others = [protocolRoutes, subscriptionRoutes]
    const routes = HttpRoutes.layer<Effect.Services<typeof others[number]>>(others).pipe(
      Layer.provideMerge(layerInfo(settings, open)),
      Layer.provide(subscriptions),
      Layer.provide(publicUrl)
    )
    return Layer.effect(Server, listen(settings, shares.beyond)).pipe(
      Layer.tap((context) =>
        Effect.sync(() => {
          const server = Context.get(context, Server)
          open.connections = server.connections
          open.port = () => server.port
          own.listening = server
        })
      ),
      Layer.provide(routes),
      Layer.merge(layerRegistry),
      Layer.provideMerge(manager),
      Layer.provide(Layer.effectDiscard(lockDirectory(settings.dataDirectory)))
    )
  }
}

/** Makes the data directory, and holds its lock. */
const lockDirectory = Effect.fnUntraced(function*(dataDirectory: string) {
  yield* refuseForeign(dataDirectory)
  yield* makeDataDirectory(dataDirectory)
  const { lock, pid, port } = filesOf(dataDirectory)
  for (let attempt = 0; attempt < lockAttempts; attempt++) {
    if (yield* tryLock(lock)) {
      // What is still there was said by a server that is gone.
      yield* Effect.ignore(Effect.try(() => clearPlace(dataDirectory)))
      return
    }
    if (attempt >= lockAttemptsNamed && readDigits(pid) !== undefined) break
    yield* Effect.sleep(lockPause)
  }
  return yield* new DataDirectoryInUse({ dataDirectory, pid: readDigits(pid), port: readDigits(port) })
})

/** A server names itself between its start and its stop, and without a name it is at one of the two: worth a wait. */
const lockAttempts = 100
const lockAttemptsNamed = 4
const lockPause = "25 millis"

const isLoopback = (host: string) => host === "127.0.0.1" || host === "localhost" || host === "::1"

/** What is known once the server listens. */
interface Open {
  connections: () => number
  port: () => number
}

const layerInfo = (settings: ServerSettings, open: Open) =>
  Layer.effect(
    ServerInfo,
    Effect.gen(function*() {
      const limits = yield* CurrentLimits
      const { current } = yield* StreamCount
      const { trouble } = yield* Storage
      const { told } = yield* PublicUrl
      const { allowHosts = [] } = settings
      const secret = yield* DaemonSecret
      const identity = identityOf(process.pid)
      return ServerInfo.of({
        health: {
          pid: process.pid,
          ...(identity === undefined ? undefined : { process: identity }),
          version,
          dataDirectory: fs.realpathSync(settings.dataDirectory),
          host: settings.host,
          storage: settings.storage,
          durability: settings.storage === "memory" ? "none" : settings.durability,
          bodyBytesMax: settings.bodyBytesMax,
          corsOrigins: settings.corsOrigins,
          allowHosts,
          longPollMillis: settings.longPollMillis,
          limits: { ...limits, fixed: fixedLimits },
          startedAt: DateTime.formatIso(yield* DateTime.now)
        },
        bodyBytesMax: settings.bodyBytesMax,
        longPollMillis: settings.longPollMillis,
        followers: new Followers(limits.followersMax),
        trouble,
        usage: () => ({ connections: open.connections(), streams: current() }),
        guard: {
          loopback: isLoopback(settings.host),
          hosts: told === undefined ? allowHosts : [...allowHosts, told.host],
          // A page of the server's own address, also where a proxy asks for another one.
          origins: told === undefined ? settings.corsOrigins : [...settings.corsOrigins, told.origin]
        },
        prove: (challenge, body) => proofOf(secret, open.port(), challenge, body)
      })
    })
  )

const listen = (
  settings: ServerSettings,
  connectionsBeyond: number
): Effect.Effect<RunningServer, ServerNotStarted, HttpRoutes | ServerInfo | Scope.Scope> =>
  Effect.gen(function*() {
    const { handle } = yield* HttpRoutes
    const { host, port } = settings
    const limits = yield* CurrentLimits
    const on = (port: number) => serve({ host, port, handler: handle, limits, connectionsBeyond })
    const onFree = Effect.suspend(() =>
      Effect.andThen(Effect.logWarning(`Port ${defaults.port} is taken; listening on a free one`), on(0))
    )
    const server = port !== undefined
      ? yield* on(port)
      : (yield* isTakenBeside(host, defaults.port))
      ? yield* onFree
      : yield* Effect.catchIf(on(defaults.port), (error) => error.code === "EADDRINUSE", () => onFree)
    yield* warn(settings, limits)
    return server
  })

/** What a person should know of a server that listens. */
const warn = Effect.fnUntraced(function*(settings: ServerSettings, limits: Limits) {
  const { corsOrigins, host } = settings
  if (!isLoopback(host)) {
    yield* Effect.logWarning(
      `Listening on ${host} without authentication: whoever reaches this port can read, write and delete every stream`
    )
  }
  if (corsOrigins.includes("*")) {
    yield* Effect.logWarning(
      "Every web page that reaches this port can read, write and delete every stream (--cors-origin *)"
    )
  }
  if (settings.allowHosts?.includes("*") === true) {
    yield* Effect.logWarning(
      "Every web page whose name leads to this server can read, write and delete every stream (--allow-host *)"
    )
  }
  const asked = settings.limits?.connectionsMax ?? 0
  if (asked > limits.connectionsMax) {
    yield* Effect.logWarning(
      `The system lets this process have descriptors for ${limits.connectionsMax} connections, not for ${asked}. ` +
        "Raise its limit (ulimit -n), or lower --max-connections"
    )
  }
})
