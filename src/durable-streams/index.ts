/**
 * The library: all that a program that embeds durable streams imports.
 */
export { ServerRefused, ServerUnreachable } from "../client/client-answers.ts"
export { makeClient } from "../client/client.ts"
export { follow } from "../client/follow.ts"
export { DaemonFailed, DataDirectoryInUse } from "../data-directory/paths.ts"
export * from "../domain/errors.ts"
export { CurrentLimits, type Limits } from "../domain/limits.ts"
export { registerCounter, registerGauge } from "../domain/metrics.ts"
export { Refusal } from "../domain/refusal.ts"
export * as Setting from "../domain/setting.ts"
export * from "../domain/types.ts"
export { EventData } from "../event/event-data.ts"
export * from "../hooks/hooks.ts"
export {
  ActiveFactory,
  EmbryonicAgentFactory,
  PlainFactory,
  StreamFactory,
  ValidatedFactory
} from "../hooks/stream-factory.ts"
export { withHooks } from "../hooks/with-hooks.ts"
export { Listener } from "../http-node/listener.ts"
export { type Answer, type Incoming, json, type Streamed } from "../http/exchange.ts"
export { Caller, callerOf, type Gate } from "../http/gates.ts"
export { PublicUrl } from "../http/public-url.ts"
export { type Room, type Route, Router, type RouteRequest } from "../http/router.ts"
export { CurrentFollowers } from "../manager/followers.ts"
export { StreamCount } from "../manager/stream-limit.ts"
export { StreamManager } from "../manager/stream-manager.ts"
export { layerFileSystem } from "../storage-filesystem/storage-filesystem.ts"
export { layerMemory } from "../storage/storage-memory.ts"
export { type Commit, type Log, Storage, type StreamDescription } from "../storage/storage.ts"
export { streamName } from "../stream-http/request-parameters.ts"
export type * from "../stream/durable-stream.ts"
export { makeDurableStream } from "../stream/stream.ts"
export { type RoomServices, Server } from "./server.ts"
export type { ServerSettings } from "./server/settings.ts"
