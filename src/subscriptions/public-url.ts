/**
 * Where others reach this server: what `DURABLE_STREAMS_PUBLIC_URL` says, behind a proxy or on another machine; else where
 * the request at hand reached it.
 */
import { Config, Context, Effect, Layer } from "effect"
import type { Incoming } from "../web/exchange.ts"
import type { SubscriptionRefused } from "./refused.ts"
import { refused } from "./refused.ts"

export class PublicUrl extends Context.Service<PublicUrl, {
  /** What `DURABLE_STREAMS_PUBLIC_URL` says, without a slash at its end. */
  readonly told: string | undefined
  /** The server's address without a slash at its end, for whoever sent the request. */
  readonly base: (request: Incoming) => Effect.Effect<string, SubscriptionRefused>
}>()("durable-streams/subscriptions/public-url/PublicUrl") {
  static readonly layer: Layer.Layer<PublicUrl, Config.ConfigError> = Layer.effect(
    PublicUrl,
    Effect.gen(function*() {
      const url = yield* Config.URL("PUBLIC_URL").pipe(
        Config.withDefault(undefined),
        Config.nested("DURABLE_STREAMS")
      )
      const told = url?.href.replace(/[?#].*$/s, "").replace(/(?<!\/)\/+$/, "")
      return PublicUrl.of({ told, base: (request) => told === undefined ? reached(request) : Effect.succeed(told) })
    })
  )
}

/** Kept with subscriptions; names have at most 253 characters (RFC 1035 2.3.4), addresses fewer. */
const hostForm = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(:\d{1,5})?$/i

const reached = (request: Incoming): Effect.Effect<string, SubscriptionRefused> => {
  const host = request.header("host") ?? ""
  return hostForm.test(host)
    ? Effect.succeed(`http://${host}`)
    : Effect.fail(refused("INVALID_REQUEST", "The Host header is none."))
}
