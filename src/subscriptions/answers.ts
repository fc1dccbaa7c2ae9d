/**
 * A subscription as the protocol's clients see it (PROTOCOL.md 6): the JSON that answers to requests hold.
 */
import type { Subscription } from "./machine/subscription.ts"
import { controlPath, linkOf } from "./running/wake-messages.ts"
import type { PublicJwk } from "./webhook/keys.ts"

/** The answer to a request for a subscription; `key` signs the calls of its webhook. */
export const subscriptionOf = (subscription: Subscription, base: string, key: PublicJwk | undefined) => {
  const { config, createdAt, id, links, retry } = subscription
  return {
    id,
    subscription_id: id,
    type: config.type,
    pattern: config.pattern ?? null,
    streams: [...links].map(([path, link]) => linkOf(path, link)),
    webhook: config.webhookUrl === undefined ? null : {
      url: config.webhookUrl,
      ...key && { signing: { alg: "ed25519", kid: key.kid, jwks_url: `${base}${controlPath}/jwks.json` } }
    },
    wake_stream: config.wakeStream ?? null,
    lease_ttl_ms: config.leaseMillis,
    created_at: createdAt,
    status: retry?.next === undefined ? "active" : "failed",
    description: config.description ?? null
  }
}
