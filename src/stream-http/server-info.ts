/**
 * What every API needs to know of the server around it.
 */
import { Context, type Effect } from "effect"
import type { Health } from "../api/wire.ts"
import type { GuardOptions } from "../http/guard.ts"
import type { Followers } from "../manager/followers.ts"

/** What the routes need to know of the server around them. */
export class ServerInfo extends Context.Service<ServerInfo, {
  readonly health: Omit<Health, "status" | "reason" | "uptimeSeconds" | "usage">
  /** The largest request body, in bytes. */
  readonly bodyBytesMax: number
  /** How long a long-poll waits for news, in milliseconds. */
  readonly longPollMillis: number
  readonly followers: Followers
  /** Why nothing can be stored now, if so. */
  readonly trouble: Effect.Effect<{ readonly message: string } | undefined>
  /** What is open now, but for what the routes know. */
  readonly usage: () => Pick<Health["usage"], "connections" | "streams">
  readonly guard: GuardOptions
  /** Proves to whoever sent `challenge` that this server made the body. */
  readonly prove: (challenge: string, body: string) => string
}>()("durable-streams/stream-http/server-info/ServerInfo") {}
