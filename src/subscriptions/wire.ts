/**
 * Subscriptions as the protocol's clients see them (PROTOCOL.md 6 and 7): answers, and the bodies of webhooks and wake
 * events.
 */
import { toOffset } from "../domain/types.ts"
import type { Link, Subscription } from "./machine/subscription.ts"
import { isPending } from "./machine/subscription.ts"
import type { StreamStatus } from "./machine/transitions.ts"
import type { PublicJwk } from "./webhook/keys.ts"

/** Below which path of the server all of this is. */
export const controlPath = "/v1/stream/__ds"

/** A cursor: the offset from which to read, which is `-1` before the first event. */
const cursorOf = (offset: number): string => offset === 0 ? "-1" : toOffset(offset)

const linkOf = (path: string, link: Link) => ({
  path,
  link_type: link.explicit ? "explicit" : "glob",
  acked_offset: cursorOf(link.acked)
})

/** The streams of a wake. */
export const streamsOf = (streams: ReadonlyArray<StreamStatus>) =>
  streams.map(({ link, path }) => ({
    ...linkOf(path, link),
    tail_offset: toOffset(link.tail),
    has_pending: isPending(link)
  }))

/** A subscription as it is answered. */
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

/** What a webhook is sent. */
export const wakeBody = (
  { generation, id }: Subscription,
  wakeId: string,
  streams: ReadonlyArray<StreamStatus>,
  base: string,
  token: string
) => ({
  subscription_id: id,
  wake_id: wakeId,
  generation,
  streams: streamsOf(streams),
  callback_url: `${base}${controlPath}/subscriptions/${encodeURIComponent(id)}/callback`,
  callback_token: token
})

/** What a wake stream gets. */
export const wakeEvent = ({ generation, id }: Subscription, stream: string, now: number) => ({
  type: "wake",
  subscription_id: id,
  stream,
  generation,
  ts: now
})
