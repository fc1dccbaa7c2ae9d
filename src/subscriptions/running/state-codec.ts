/**
 * A subscription as the keyed state of its log, and back (docs/storage-format.md 8). One commit holds exactly the entries
 * that a transition changed.
 */
import { Result, Schema } from "effect"
import type { StateChange, StreamDescription } from "../../storage/storage.ts"
import type { Changes, Config, Link, Subscription } from "../machine/subscription.ts"
import { newSubscription } from "../machine/subscription.ts"

const optional = <S extends Schema.Top>(schema: S) => Schema.optional(schema)

const StoredConfig = Schema.Struct({
  type: Schema.Literals(["webhook", "pull-wake"]),
  pattern: optional(Schema.String),
  streams: Schema.Array(Schema.String),
  webhookUrl: optional(Schema.String),
  wakeStream: optional(Schema.String),
  leaseMillis: Schema.Int,
  description: optional(Schema.String)
})
const StoredWake = Schema.Struct({
  generation: Schema.Int,
  wake: optional(Schema.Struct({
    id: Schema.String,
    stream: Schema.String,
    delivered: Schema.Boolean,
    gone: Schema.Array(Schema.String)
  }))
})
const StoredLease = Schema.Struct({ until: Schema.Int, holder: optional(Schema.String) })
const StoredRetry = Schema.Struct({ count: Schema.Int, next: optional(Schema.Int) })
const StoredLink = Schema.Struct({
  glob: Schema.Boolean,
  explicit: Schema.Boolean,
  acked: Schema.Int,
  life: optional(Schema.String)
})

/** The entries that differ from those that the log holds. */
export const toStateChanges = (
  changes: Changes,
  stored: ReadonlyMap<string, string>
): ReadonlyArray<StateChange> => {
  const entries: Array<StateChange> = [
    ["wake", JSON.stringify({ generation: changes.generation, wake: changes.wake })],
    ["lease", textOf(changes.lease)],
    ["retry", textOf(changes.retry)]
  ]
  for (const [path, link] of changes.links) entries.push([linkKey + path, linkText(link)])
  return entries.filter(([key, text]) => stored.get(key) !== text)
}

/** The entries that a subscription is made with. */
export const configEntries = (config: Config, hash: string, base: string): ReadonlyArray<StateChange> => [
  ["config", JSON.stringify(config)],
  ["hash", JSON.stringify(hash)],
  baseEntry(base)
]

/** The server's address as the maker of the subscription, or the last client that confirmed it, reached it. */
export const baseEntry = (base: string): StateChange => ["base", JSON.stringify(base)]

/** The subscription that a log holds, or a sentence if it holds none. The tails are not known yet. */
export const fromState = (
  id: string,
  { createdAt, id: life }: StreamDescription,
  state: ReadonlyMap<string, string>
): Result.Result<Subscription, string> => {
  const decode = <S extends Schema.ConstraintDecoder<unknown>>(schema: S, key: string) =>
    decodeText(schema, state.get(key), key)
  return Result.gen(function*() {
    const config = yield* decode(StoredConfig, "config")
    const { generation, wake } = yield* decode(StoredWake, "wake")
    const lease = state.has("lease") ? yield* decode(StoredLease, "lease") : undefined
    const retry = state.has("retry") ? yield* decode(StoredRetry, "retry") : undefined
    const links = new Map<string, Link>()
    for (const key of state.keys()) {
      if (!key.startsWith(linkKey)) continue
      const link = yield* decode(StoredLink, key)
      links.set(key.slice(linkKey.length), { ...link, life: link.life, tail: link.acked })
    }
    return newSubscription(
      id,
      life,
      createdAt,
      {
        ...config,
        pattern: config.pattern,
        webhookUrl: config.webhookUrl,
        wakeStream: config.wakeStream,
        description: config.description
      },
      links,
      {
        generation,
        wake,
        lease: lease === undefined ? undefined : { until: lease.until, holder: lease.holder },
        retry: retry === undefined ? undefined : { count: retry.count, next: retry.next }
      }
    )
  })
}

/** One JSON string of the state; undefined if there is none. */
export const stringEntry = (state: ReadonlyMap<string, string>, key: string): string | undefined =>
  Result.getOrUndefined(decodeText(Schema.String, state.get(key), key))

const linkKey = "link:"

const textOf = (value: object | undefined): string | undefined =>
  value === undefined ? undefined : JSON.stringify(value)

const linkText = (link: Link | undefined): string | undefined => {
  if (link === undefined) return undefined
  const { acked, explicit, glob, life } = link
  return JSON.stringify({ glob, explicit, acked, life })
}

const decodeText = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  text: string | undefined,
  key: string
): Result.Result<S["Type"], string> => {
  if (text === undefined) return Result.fail(`its entry ${key} is missing`)
  return Result.mapError(
    Schema.decodeResult(Schema.fromJsonString(schema))(text),
    (issue) => `its entry ${key} is not readable: ${issue.message}`
  )
}
