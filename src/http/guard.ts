/**
 * Who may talk to this server (promise 12; docs/decisions/0003-closed-by-default.md). A local daemon is reachable by
 * every web page its user opens: a page of another origin is refused by what its browser cannot hide, and a page that
 * pretends to be us by DNS (rebinding) by the host it asked for.
 */
import { Context, Effect } from "effect"
import { AccessRefused, InvalidRequest, NotImplemented, VersionNotSupported } from "../domain/errors.ts"
import type { Incoming } from "./exchange.ts"
import type { Gate } from "./gates.ts"

export interface GuardOptions {
  /** Whether the server listens on loopback only, where there is just one right `Host`. */
  readonly loopback: boolean
  /** Names that the server answers to besides, in small letters; `*` is all of them. */
  readonly hosts: ReadonlyArray<string>
  /** Origins whose pages may use the server, besides those of this machine; `*` is all of them. */
  readonly origins: ReadonlyArray<string>
}

/** The hosts and the origins of this server. */
export class Guard extends Context.Service<Guard, GuardOptions>()("durable-streams/http/guard") {}

/** The first gate of every server. */
export const originGate = (options: GuardOptions): Gate => ({
  stage: "origin",
  pass: (request) => {
    const refused = refusal(request, options)
    return refused === undefined ? Effect.void : Effect.fail(refused)
  }
})

/** Why the request is refused; undefined when it is not. */
export const refusal = (request: Incoming, options: GuardOptions): GuardRefusal | undefined => {
  if (!request.version.startsWith("1.")) return new VersionNotSupported()
  if (!request.target.startsWith("/")) {
    return new InvalidRequest({ message: "The request target must be a path; this server is no proxy." })
  }
  const hosts = request.headerCount("host")
  // HTTP/1.0 knows no Host, and no browser speaks it (RFC 9112 3.2).
  if (hosts !== 1 && !(hosts === 0 && request.version === "1.0")) {
    return new InvalidRequest({ message: "A request must have exactly one Host header." })
  }
  const fault = framingFault(request)
  if (fault !== undefined) return fault
  const host = request.header("host") ?? ""
  if (!hostForm.test(host)) return new InvalidRequest({ message: `The Host ${show(host)} is none.` })
  if (hosts === 1 && !isAnswered(hostOf(host), options)) return new AccessRefused({ message: otherHost(host, options) })
  if (options.origins.includes("*") || isPreflight(request)) return undefined
  const origin = request.header("origin")
  if (origin !== undefined) {
    return isOriginAllowed(origin, host, options) ? undefined : new AccessRefused({
      message: `Web pages of ${show(origin)} may not use this server; --cors-origin lets them.`
    })
  }
  // However it is written, and also where something was put before or behind it.
  if (/(?:cross|same)-site/i.test(request.header("sec-fetch-site") ?? "")) {
    return new AccessRefused({ message: "Web pages of other sites may not use this server." })
  }
  return undefined
}

/** `uri-host [":" port]` (RFC 9112 3.2, RFC 3986 3.2.2): what is anything else is no Host at all. */
const hostForm = /^(?:\[[0-9a-z:.%]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})*)(?::\d*)?$/i

type GuardRefusal = AccessRefused | InvalidRequest | NotImplemented | VersionNotSupported

/**
 * What is wrong with how the body says its end. Node lets `identity, chunked` through; two readings of one length are how
 * requests are smuggled. Whatever the answer, the connection is not used again (RFC 9112 6.1, 6.3).
 */
export const framingFault = (request: Incoming): InvalidRequest | NotImplemented | undefined => {
  const coding = request.header("transfer-encoding")?.toLowerCase()
  if (coding === undefined || (coding === "chunked" && request.version !== "1.0")) return undefined
  if (request.version === "1.0") return new InvalidRequest({ message: "HTTP/1.0 has no Transfer-Encoding." })
  return coding.split(",").at(-1)?.trim() === "chunked"
    ? new NotImplemented({ message: "The only Transfer-Encoding here is chunked." })
    : new InvalidRequest({ message: "Transfer-Encoding can only be chunked." })
}

/** Whether the server answers to a host. On loopback a page can only come by a name; beyond it, by no address (rebinding). */
const isAnswered = (host: string | undefined, { hosts, loopback }: GuardOptions): boolean =>
  host !== undefined &&
  (isLoopback(host) || hosts.includes(host) || hosts.includes("*") || (!loopback && isAddress(host)))

const isAddress = (host: string): boolean => host.startsWith("[") || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)

const otherHost = (host: string, { loopback }: GuardOptions): string => {
  const known = loopback ? "localhost, 127.0.0.1 and [::1]" : "addresses and localhost"
  const name = hostOf(host) ?? "NAME"
  return `This server answers to ${known}, not to the Host ${show(host)}. ` +
    `Let the name in with --allow-host ${name}, or have the proxy send the server's own address as Host ` +
    "(Caddy: header_up Host {upstream_hostport}, nginx: proxy_set_header Host 127.0.0.1:PORT)."
}

/**
 * Whether a browser asks before it sends the page's request (Fetch 3.3.6). The server answers to every page: the answer
 * tells nothing of a stream, and the browser goes on only if the answer names the page's origin.
 */
export const isPreflight = (request: Incoming): boolean =>
  request.method === "OPTIONS" && request.header("origin") !== undefined &&
  request.header("access-control-request-method") !== undefined

/** Pages from this machine, pages that this server itself served, and those that were let in by name. */
export const isOriginAllowed = (origin: string, host: string, { origins }: GuardOptions): boolean => {
  if (origins.includes(origin)) return true
  const parsed = /^https?:\/\/(.+)$/.exec(origin)?.[1]
  return parsed !== undefined && (isLoopback(hostOf(parsed)) || parsed.toLowerCase() === host.toLowerCase())
}

/** The host of `host[:port]`, lower-case; undefined when it is anything else. */
const hostOf = (authority: string): string | undefined =>
  /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(authority.toLowerCase())?.[1]

const isLoopback = (host: string | undefined): boolean =>
  host === "localhost" || host === "127.0.0.1" || host === "[::1]"

const show = (text: string) => JSON.stringify(text.slice(0, 100))
