/**
 * Facts about the running server that every API needs.
 */
import { Context, type Effect } from "effect"
import type { Health } from "../api/wire.ts"
import type { GuardOptions } from "../http/guard.ts"
import type { Followers } from "../manager/followers.ts"

/** Facts about the server around the routes. */
export class ServerInfo extends Context.Service<ServerInfo, {
  readonly health: Omit<Health, "status" | "reason" | "uptimeSeconds" | "usage">
  /** The largest request body, in bytes. */
  readonly bodyBytesMax: number
  /** How long a long-poll waits for news, in milliseconds. */
  readonly longPollMillis: number
  readonly followers: Followers
  /** Why the server cannot store anything now; undefined when it can. */
  readonly trouble: Effect.Effect<{ readonly message: string } | undefined>
  /** How many connections and streams are open now; the routes count the rest. */
  readonly usage: () => Pick<Health["usage"], "connections" | "streams">
  readonly guard: GuardOptions
  /** Returns the proof that this server made the body, for the client that sent `challenge`. */
  readonly prove: (challenge: string, body: string) => string
}>()("durable-streams/stream-http/server-info/ServerInfo") {}
