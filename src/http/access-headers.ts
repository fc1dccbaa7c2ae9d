/**
 * The headers that tell a browser which pages may send a request, and which may read its answer (promise 12). They never
 * allow credentials: this server has none that a browser would add by itself.
 */
import type { Incoming } from "./exchange.ts"
import type { GuardOptions } from "./guard.ts"
import { isOriginAllowed, isPreflight } from "./guard.ts"
import type { Room } from "./router.ts"

type AccessHeaders = Readonly<Record<string, string>>

/**
 * Returns the access headers of an answer to `request`. If every origin is allowed, they are the same for every page, so
 * that a cache on the way can give one answer to all. `isRefused` says that the guard refused the request: its page then
 * reads nothing of the answer.
 */
export const makeAccessHeaders = (options: GuardOptions, rooms: ReadonlyArray<Room>) => {
  const allowsAll = options.origins.includes("*")
  const exposed = listed([...exposedAlways, ...rooms.flatMap(({ exposes = [] }) => exposes)])
  const preflight: AccessHeaders = {
    "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE",
    "access-control-allow-headers": listed([...readAlways, ...rooms.flatMap(({ reads = [] }) => reads)]),
    "access-control-max-age": String(preflightSeconds)
  }

  return (request: Incoming, isRefused: boolean): AccessHeaders => {
    const origin = request.header("origin")
    if (!allowsAll && (isRefused || origin === undefined)) return closed
    if (!allowsAll && isPreflight(request) && !isOriginAllowed(origin!, request.header("host") ?? "", options)) {
      return { ...closed, ...preflight }
    }
    const headers: AccessHeaders = {
      "cross-origin-resource-policy": "cross-origin",
      "access-control-allow-origin": allowsAll ? "*" : origin!,
      "access-control-expose-headers": exposed,
      ...(allowsAll ? undefined : varied)
    }
    if (request.method !== "OPTIONS") return headers
    const isPrivate = request.header("access-control-request-private-network") === "true"
    return { ...headers, ...preflight, ...(isPrivate ? privateNetwork : undefined) }
  }
}

const varied = { vary: "Origin" }
const closed: AccessHeaders = { "cross-origin-resource-policy": "same-origin", ...varied }

/** The headers of HTTP itself that every server reads, and those of its answers that a page may want. */
const readAlways = ["Content-Type", "Authorization", "If-Match", "If-None-Match", "Last-Event-ID"]
const exposedAlways = ["ETag", "Location", "Allow", "Content-Encoding", "Retry-After"]

/** Ten minutes: a page asks once, and hears soon of a server that was started anew with other origins. */
const preflightSeconds = 600

/** Chrome asks for this before a page of the public web talks to a private address. */
const privateNetwork = { "access-control-allow-private-network": "true" }

const listed = (names: ReadonlyArray<string>): string => [...new Set(names)].join(", ")
