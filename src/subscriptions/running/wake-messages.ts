/**
 * A wake as JSON (PROTOCOL.md 7): the body of a webhook's call and the event on a wake stream. Here are also the parts that
 * answers to requests share with them.
 */
import { toOffset } from "../../domain/types.ts"
import type { Link, Subscription } from "../machine/subscription.ts"
import { isPending } from "../machine/subscription.ts"
import type { StreamStatus } from "../machine/transitions.ts"

/** Every path of subscriptions begins with this one. */
export const controlPath = "/v1/stream/__ds"

export const linkOf = (path: string, link: Link) => ({
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

/** The body of a webhook's call. */
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

/** The event on a wake stream. */
export const wakeEvent = ({ generation, id }: Subscription, stream: string, now: number) => ({
  type: "wake",
  subscription_id: id,
  stream,
  generation,
  ts: now
})

/** A cursor: the offset from which to read, which is `-1` before the first event. */
const cursorOf = (offset: number): string => offset === 0 ? "-1" : toOffset(offset)
