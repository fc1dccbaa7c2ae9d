/**
 * What a program that embeds durable streams imports.
 */
export { layerFileSystem } from "../storage-filesystem/storage-filesystem.ts"
export { ServerRefused, ServerUnreachable } from "./client-answers.ts"
export { makeClient } from "./client.ts"
export type * from "./durable-stream.ts"
export * from "./errors.ts"
export { EventData } from "./event-data.ts"
export { follow } from "./follow.ts"
export * from "./hooks.ts"
export { Server } from "./server.ts"
export type { ServerSettings } from "./settings.ts"
export { DaemonFailed, DataDirectoryInUse } from "./paths.ts"
export { type Commit, type Log, Storage, type StreamDescription } from "./storage.ts"
export {
  ActiveFactory,
  EmbryonicAgentFactory,
  PlainFactory,
  StreamFactory,
  ValidatedFactory
} from "./stream-factory.ts"
export { StreamManager } from "./stream-manager.ts"
export { makeDurableStream } from "./stream.ts"
export * from "./types.ts"
export { withHooks } from "./with-hooks.ts"
