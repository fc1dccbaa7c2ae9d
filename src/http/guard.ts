/**
 * The gate that decides which pages and hosts may use this server (promise 12; docs/decisions/0003-closed-by-default.md).
 * Every web page that a user opens can reach a local daemon. The guard refuses a page of another origin by the headers that
 * its browser always sends, and a page that takes the server's name by DNS (rebinding) by the host in its request.
 */
import { Context, Effect } from "effect"
import { AccessRefused, InvalidRequest, NotImplemented, VersionNotSupported } from "../domain/errors.ts"
import type { Incoming } from "./exchange.ts"
import type { Gate } from "./gates.ts"

export interface GuardOptions {
  /** Whether the server listens on loopback only: then the local names are the only right `Host`. */
  readonly loopback: boolean
  /** More names that the server answers to, in lower case; `*` is all names. */
  readonly hosts: ReadonlyArray<string>
  /** More origins whose pages may use the server, besides those of this machine; `*` is all origins. */
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

/** Returns the refusal of the request, or undefined if the request may pass. */
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
  // In any spelling, also if a proxy has put more before or behind it.
  if (/(?:cross|same)-site/i.test(request.header("sec-fetch-site") ?? "")) {
    return new AccessRefused({ message: "Web pages of other sites may not use this server." })
  }
  return undefined
}

/** `uri-host [":" port]` (RFC 9112 3.2, RFC 3986 3.2.2); any other text is no Host at all. */
const hostForm = /^(?:\[[0-9a-z:.%]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})*)(?::\d*)?$/i

type GuardRefusal = AccessRefused | InvalidRequest | NotImplemented | VersionNotSupported

/**
 * Returns the fault in how the request marks the end of its body. Node accepts `identity, chunked`; requests are smuggled
 * when two servers read one length in two ways. The connection is not used again after this answer (RFC 9112 6.1, 6.3).
 */
export const framingFault = (request: Incoming): InvalidRequest | NotImplemented | undefined => {
  const coding = request.header("transfer-encoding")?.toLowerCase()
  if (coding === undefined || (coding === "chunked" && request.version !== "1.0")) return undefined
  if (request.version === "1.0") return new InvalidRequest({ message: "HTTP/1.0 has no Transfer-Encoding." })
  return coding.split(",").at(-1)?.trim() === "chunked"
    ? new NotImplemented({ message: "The only Transfer-Encoding here is chunked." })
    : new InvalidRequest({ message: "Transfer-Encoding can only be chunked." })
}

/**
 * Whether the server answers to a host. By rebinding a page can take a name, and never an address. So besides the named hosts
 * only the local ones are right on loopback, and every address is beyond it.
 */
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

/** Whether pages of an origin may use the server: those of this machine, of the server itself, and of the named origins. */
export const isOriginAllowed = (origin: string, host: string, { origins }: GuardOptions): boolean => {
  if (origins.includes(origin)) return true
  const parsed = /^https?:\/\/(.+)$/.exec(origin)?.[1]
  return parsed !== undefined && (isLoopback(hostOf(parsed)) || parsed.toLowerCase() === host.toLowerCase())
}

/** The host of `host[:port]` in lower case; undefined if the text has another form. */
const hostOf = (authority: string): string | undefined =>
  /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(authority.toLowerCase())?.[1]

const isLoopback = (host: string | undefined): boolean =>
  host === "localhost" || host === "127.0.0.1" || host === "[::1]"

const show = (text: string) => JSON.stringify(text.slice(0, 100))
