/**
 * Who may talk to this server (promise 12; docs/decisions/0003-closed-by-default.md). A local daemon is reachable by
 * every web page its user opens: a page of another origin is refused by what its browser cannot hide, and a page that
 * pretends to be us by DNS (rebinding) by the host it asked for.
 */
import { AccessRefused, InvalidRequest } from "../durable-streams/errors.ts"
import type { Incoming } from "./exchange.ts"

export interface GuardOptions {
  /** Whether the server listens on loopback only, where there is just one right `Host`. */
  readonly loopback: boolean
  /** Origins whose pages may use the server, besides those of this machine; `*` is all of them. */
  readonly origins: ReadonlyArray<string>
}

/** Why the request is refused; undefined when it is not. */
export const refusal = (request: Incoming, options: GuardOptions): AccessRefused | InvalidRequest | undefined => {
  if (!request.target.startsWith("/")) {
    return new InvalidRequest({ message: "The request target must be a path; this server is no proxy." })
  }
  if (request.headerCount("host") !== 1) {
    return new InvalidRequest({ message: "A request must have exactly one Host header." })
  }
  if (hasDoubtfulEnd(request)) return new InvalidRequest({ message: "Transfer-Encoding can only be chunked." })
  const host = request.header("host") ?? ""
  if (options.loopback && !isLoopback(hostOf(host))) {
    return new AccessRefused({
      message: `This server listens on loopback and answers to localhost, 127.0.0.1 and [::1], not to ${show(host)}.`
    })
  }
  const origin = request.header("origin")
  if (origin !== undefined) {
    return originAllowed(origin, host) ? undefined : new AccessRefused({
      message: `Web pages of ${show(origin)} may not use this server.`
    })
  }
  const site = request.header("sec-fetch-site")
  if (site === "cross-site" || site === "same-site") {
    return new AccessRefused({ message: "Web pages of other sites may not use this server." })
  }
  return undefined
}

/** Node lets `identity, chunked` through; two readings of one length are how requests are smuggled. */
export const hasDoubtfulEnd = (request: Incoming): boolean =>
  (request.header("transfer-encoding") ?? "chunked").toLowerCase() !== "chunked"

/** Headers that let the page of an allowed origin read the answer; none for everybody else. */
export const corsHeaders = (request: Incoming): Readonly<Record<string, string>> => {
  const origin = request.header("origin")
  if (origin === undefined) return noHeaders
  const headers: Record<string, string> = {
    "access-control-allow-origin": origin,
    "access-control-expose-headers": "Stream-Next-Offset"
  }
  if (request.method === "OPTIONS") {
    headers["access-control-allow-methods"] = "GET, HEAD, POST, DELETE"
    headers["access-control-allow-headers"] = "Content-Type, If-Match, Last-Event-ID"
    headers["access-control-max-age"] = "600"
  }
  return headers
}

const noHeaders = {}

/** Pages from this machine, and pages that this server itself served. */
const originAllowed = (origin: string, host: string): boolean => {
  const parsed = /^https?:\/\/(.+)$/.exec(origin)?.[1]
  return parsed !== undefined && (isLoopback(hostOf(parsed)) || parsed.toLowerCase() === host.toLowerCase())
}

/** The host of `host[:port]`, lower-case; undefined when it is anything else. */
const hostOf = (authority: string): string | undefined =>
  /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(authority.toLowerCase())?.[1]

const isLoopback = (host: string | undefined): boolean =>
  host === "localhost" || host === "127.0.0.1" || host === "[::1]"

const show = (text: string) => JSON.stringify(text.slice(0, 100))
