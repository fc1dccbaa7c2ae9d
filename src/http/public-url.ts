/**
 * The address at which clients reach this server, in one place for every answer that names it: `DURABLE_STREAMS_PUBLIC_URL`
 * behind a proxy or for other machines, otherwise the address that the present request used.
 */
import { Config, Context, Effect, Layer } from "effect"
import type { Incoming } from "./exchange.ts"

export class PublicUrl extends Context.Service<PublicUrl, {
  /** The server's address for the client of a request, without a slash at its end; undefined if its `Host` is none. */
  readonly base: (request: Incoming) => string | undefined
  /** `DURABLE_STREAMS_PUBLIC_URL` without a slash at its end, with its host and its origin; undefined if it is not set. */
  readonly configured: { readonly url: string; readonly host: string; readonly origin: string } | undefined
}>()("durable-streams/http/public-url/PublicUrl") {
  static readonly layer: Layer.Layer<PublicUrl, Config.ConfigError> = Layer.effect(
    PublicUrl,
    Effect.gen(function*() {
      const url = yield* Config.URL("PUBLIC_URL").pipe(
        Config.withDefault(undefined),
        Config.nested("DURABLE_STREAMS")
      )
      const configured = url && {
        url: url.href.replace(/[?#].*$/s, "").replace(/(?<!\/)\/+$/, ""),
        host: url.hostname,
        origin: url.origin
      }
      return PublicUrl.of({ configured, base: (request) => configured?.url ?? hostBase(request) })
    })
  )
}

/** Subscriptions keep it, so it is bounded: names have at most 253 characters (RFC 1035 2.3.4), addresses fewer. */
const hostForm = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(:\d{1,5})?$/i

const hostBase = (request: Incoming): string | undefined => {
  const host = request.header("host") ?? ""
  return hostForm.test(host) ? `http://${host}` : undefined
}
