/**
 * The server: lock, storage, streams, routes and network, stacked. It stops with its scope: followers get a clean end,
 * appends under way are finished, then the lock is freed.
 */
import type { Config } from "effect"
import { Context, Effect, Layer, type Scope } from "effect"
import * as fs from "node:fs"
import { getHeapStatistics } from "node:v8"
import { makeDataDirectory, readDigits } from "../data-directory/data-directory.ts"
import { tryLock } from "../data-directory/lock.ts"
import { type DaemonFailed, DataDirectoryInUse, filesOf } from "../data-directory/paths.ts"
import { type DataDirectoryNotTrusted, refuseForeign } from "../data-directory/trusted-directory.ts"
import type { StorageError } from "../domain/errors.ts"
import type { Limits } from "../domain/limits.ts"
import { CurrentLimits } from "../domain/limits.ts"
import type { GivenValues, SettingTable } from "../domain/setting.ts"
import { ActiveFactory, type StreamFactory } from "../hooks/stream-factory.ts"
import { fileLimit, fileShares } from "../http-node/file-limit.ts"
import { Listener } from "../http-node/listener.ts"
import type { RunningServer } from "../http-node/node-server.ts"
import type { ServerNotStarted } from "../http-node/server-not-started.ts"
import { docs } from "../http/docs-room.ts"
import { Front } from "../http/front.ts"
import { Guard } from "../http/guard.ts"
import { PublicUrl } from "../http/public-url.ts"
import { Router } from "../http/router.ts"
import { CurrentFollowers } from "../manager/followers.ts"
import { layerStreamLimit, type StreamCount } from "../manager/stream-limit.ts"
import { StreamManager } from "../manager/stream-manager.ts"
import { nativeApi } from "../native-api/native-routes.ts"
import { LongPollMillis, protocol } from "../protocol/protocol-routes.ts"
import { layerRegistry } from "../protocol/registry.ts"
import type { Storage } from "../storage/storage.ts"
import { WebhookCallsMax } from "../subscriptions/running/webhook-queue.ts"
import { subscriptionRoom } from "../subscriptions/subscription-routes.ts"
import { Subscriptions } from "../subscriptions/subscriptions.ts"
import { Keys } from "../subscriptions/webhook/keys.ts"
import { OwnAddress } from "../subscriptions/webhook/own-address.ts"
import { WebhookSender } from "../subscriptions/webhook/webhook-sender.ts"
import { isTakenBeside } from "./daemon/beside-port.ts"
import { clearPlace } from "./daemon/daemon-files.ts"
import { directoryGate } from "./server/directory-gate.ts"
import { layerValues } from "./server/given-settings.ts"
import { health } from "./server/health-room.ts"
import { limitsInForce } from "./server/limits-in-force.ts"
import type { ServerSettings, SettingsInForce } from "./server/settings.ts"
import { CurrentSettings, defaultPort, withDefaults } from "./server/settings.ts"
import type { MakeStorage } from "./server/storages.ts"
import { storages } from "./server/storages.ts"

/** The services that a room of the server can use. */
export type RoomServices = Router | StreamManager | StreamCount | CurrentFollowers | PublicUrl | Storage | Listener

/** A server that listens, and its address. */
export class Server extends Context.Service<Server, RunningServer>()("durable-streams/server") {
  /**
   * A whole server, with its data directory locked; a setting that is left out has its default. `factory` decides which
   * hooks its streams have. `rooms` adds routes, gates and headers to those of the server (`Router.room`), and `settings`
   * the settings of these rooms, whose values are then among the others; `makeStorage` makes a storage that no setting
   * names.
   */
  static readonly layer = <E = never, Table extends SettingTable = NoSettings>(
    asked: ServerSettings & GivenValues<NoInfer<Table>> = {},
    factory: Layer.Layer<StreamFactory, never, Storage> = ActiveFactory,
    { makeStorage, rooms = Layer.empty, settings: ofRooms }: ServerParts<E, Table> = {}
  ): Layer.Layer<
    Server | StreamManager,
    | E
    | DaemonFailed
    | DataDirectoryInUse
    | DataDirectoryNotTrusted
    | StorageError
    | ServerNotStarted
    | Config.ConfigError
  > => {
    const settings = withDefaults(asked)
    // If the system does not say how many descriptors there are, there is no reason to hold back.
    const shares = fileShares(fileLimit() ?? Infinity)
    const storage = (makeStorage ?? storages[settings.storage])({
      dataDirectory: settings.dataDirectory,
      durability: settings.durability,
      // Every log must find a descriptor, however many connections there are.
      openFilesMax: shares.logs
    })
    const limits = Layer.sync(
      CurrentLimits,
      () => limitsInForce(asked, shares.connections, getHeapStatistics().heap_size_limit)
    )
    const manager = StreamManager.layer.pipe(
      Layer.provide(factory),
      Layer.provideMerge(layerStreamLimit),
      Layer.provideMerge(storage),
      Layer.provideMerge(limits)
    )
    const subscriptions = Subscriptions.layer.pipe(
      Layer.provideMerge(Layer.mergeAll(
        Keys.layer(filesOf(settings.dataDirectory).keys),
        // A server that others can reach is not one under development.
        WebhookSender.layer(isLoopback(settings.host))
      )),
      Layer.provide(Layer.merge(ownAddress, Layer.succeed(WebhookCallsMax, shares.webhooks)))
    )
    const own = Layer.mergeAll(
      nativeApi,
      Layer.provide(protocol, Layer.succeed(LongPollMillis, settings.longPollMillis)),
      Layer.provide(subscriptionRoom, subscriptions),
      health(settings),
      docs,
      Router.room(directory(settings))
    )
    // The program's rooms come last, however long the server's own take to open: of two equal routes, the later one counts.
    const served = Layer.provideMerge(rooms, own)
    return Layer.effect(Server, listen(settings, asked, shares.beyond)).pipe(
      Layer.provide(Layer.provide(Front.layer(String(process.pid)), guard(settings))),
      Layer.provide(served),
      Layer.provide(Layer.mergeAll(Router.layer, Listener.layer, PublicUrl.layer, CurrentFollowers.layer)),
      Layer.merge(layerRegistry),
      Layer.provideMerge(manager),
      Layer.provide(Layer.effectDiscard(lockDirectory(settings.dataDirectory))),
      Layer.provide(layerValues(asked)),
      Layer.provide(layerSettings(ofRooms))
    )
  }
}

type NoSettings = Readonly<Record<never, never>>

interface ServerParts<E, Table extends SettingTable> {
  readonly rooms?: Layer.Layer<never, E, RoomServices>
  readonly settings?: Table
  readonly makeStorage?: MakeStorage
}

/** Adds the settings of rooms to those of the program. */
const layerSettings = (ofRooms: SettingTable | undefined) =>
  Layer.effect(CurrentSettings, Effect.map(CurrentSettings, (table) => ({ ...table, ...ofRooms })))

/** Makes the data directory, and holds its lock. */
const lockDirectory = Effect.fnUntraced(function*(dataDirectory: string) {
  yield* refuseForeign(dataDirectory)
  yield* makeDataDirectory(dataDirectory)
  const { lock, pid, port } = filesOf(dataDirectory)
  for (let attempt = 0; attempt < lockAttempts; attempt++) {
    if (yield* tryLock(lock)) {
      // The files that are still there are those of a server that is gone.
      yield* Effect.ignore(Effect.try(() => clearPlace(dataDirectory)))
      return
    }
    if (attempt >= lockAttemptsNamed && readDigits(pid) !== undefined) break
    yield* Effect.sleep(lockPause)
  }
  return yield* new DataDirectoryInUse({ dataDirectory, pid: readDigits(pid), port: readDigits(port) })
})

/** A server that has not named itself is just starting or stopping: it is worth a wait. */
const lockAttempts = 100
const lockAttemptsNamed = 4
const lockPause = "25 millis"

const isLoopback = (host: string) => host === "127.0.0.1" || host === "localhost" || host === "::1"

/** The server's names: those of its settings, and the public one behind a proxy. */
const guard = (settings: SettingsInForce) =>
  Layer.effect(
    Guard,
    Effect.map(PublicUrl, ({ configured }) => {
      const { allowHosts, corsOrigins, host } = settings
      return Guard.of({
        loopback: isLoopback(host),
        hosts: configured === undefined ? allowHosts : [...allowHosts, configured.host],
        // A page that this server itself served has the public origin, whatever Host the proxy sends.
        origins: configured === undefined ? corsOrigins : [...corsOrigins, configured.origin]
      })
    })
  )

const directory = ({ dataDirectory }: SettingsInForce) =>
  Effect.sync(() => ({ gates: [directoryGate(fs.realpathSync(dataDirectory))] }))

/** Webhooks ask at each call where the server listens. */
const ownAddress = Layer.effect(
  OwnAddress,
  Effect.gen(function*() {
    const listener = yield* Listener
    const { configured } = yield* PublicUrl
    return {
      get listening() {
        return listener.address()
      },
      publicUrl: configured?.url
    }
  })
)

const listen = (
  settings: SettingsInForce,
  asked: ServerSettings,
  connectionsBeyond: number
): Effect.Effect<RunningServer, ServerNotStarted, Front | Listener | Scope.Scope> =>
  Effect.gen(function*() {
    const { handle } = yield* Front
    const listener = yield* Listener
    const { host, port } = settings
    const limits = yield* CurrentLimits
    const on = (port: number) => listener.listen({ host, port, handler: handle, limits, connectionsBeyond })
    const onFree = Effect.suspend(() =>
      Effect.andThen(Effect.logWarning(`Port ${defaultPort} is taken; listening on a free one`), on(0))
    )
    const server = port !== undefined
      ? yield* on(port)
      : (yield* isTakenBeside(host, defaultPort))
      ? yield* onFree
      : yield* Effect.catchIf(on(defaultPort), (error) => error.code === "EADDRINUSE", () => onFree)
    yield* warn(settings, limits, asked.connectionsMax)
    return server
  })

/** Logs the warnings that a person should read of a server that listens. */
const warn = Effect.fnUntraced(function*(settings: SettingsInForce, limits: Limits, connectionsAsked = 0) {
  const { corsOrigins, host } = settings
  if (!isLoopback(host)) {
    yield* Effect.logWarning(
      `Listening on ${host} without authentication: any client that reaches this port can read, write and delete every stream`
    )
  }
  if (corsOrigins.includes("*")) {
    yield* Effect.logWarning(
      "Every web page that reaches this port can read, write and delete every stream (--cors-origin *)"
    )
  }
  if (settings.allowHosts.includes("*")) {
    yield* Effect.logWarning(
      "Every web page whose name leads to this server can read, write and delete every stream (--allow-host *)"
    )
  }
  if (connectionsAsked > limits.connectionsMax) {
    yield* Effect.logWarning(
      `The system lets this process have descriptors for ${limits.connectionsMax} connections, not for ${connectionsAsked}. ` +
        "Raise its limit (ulimit -n), or lower --max-connections"
    )
  }
})
