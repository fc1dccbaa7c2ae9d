/**
 * Where others reach this server, in one place for all that says it: what `DURABLE_STREAMS_PUBLIC_URL` says, behind a proxy
 * or on another machine; else where the request at hand reached it.
 */
import { Config, Context, Effect, Layer } from "effect"
import type { Incoming } from "./exchange.ts"

export class PublicUrl extends Context.Service<PublicUrl, {
  /** The server's address without a slash at its end, for whoever sent the request; undefined where nobody knows it. */
  readonly base: (request: Incoming) => string | undefined
  /** What `DURABLE_STREAMS_PUBLIC_URL` says, without a slash at its end, and the name and the origin in it. */
  readonly told: { readonly url: string; readonly host: string; readonly origin: string } | undefined
}>()("durable-streams/http/public-url/PublicUrl") {
  static readonly layer: Layer.Layer<PublicUrl, Config.ConfigError> = Layer.effect(
    PublicUrl,
    Effect.gen(function*() {
      const url = yield* Config.URL("PUBLIC_URL").pipe(
        Config.withDefault(undefined),
        Config.nested("DURABLE_STREAMS")
      )
      const told = url && {
        url: url.href.replace(/[?#].*$/s, "").replace(/(?<!\/)\/+$/, ""),
        host: url.hostname,
        origin: url.origin
      }
      return PublicUrl.of({ told, base: (request) => told?.url ?? reached(request) })
    })
  )
}

/** Kept with subscriptions; names have at most 253 characters (RFC 1035 2.3.4), addresses fewer. */
const hostForm = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(:\d{1,5})?$/i

const reached = (request: Incoming): string | undefined => {
  const host = request.header("host") ?? ""
  return hostForm.test(host) ? `http://${host}` : undefined
}
