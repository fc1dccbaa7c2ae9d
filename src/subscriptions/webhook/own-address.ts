/**
 * The addresses of this server itself. A webhook that calls it would become an event that wakes it again, and every reader
 * could take the token from that event. They are known when the server listens, and checked at every call: a subscription
 * may be older than the port.
 */
import { Context } from "effect"
import { isIP } from "node:net"
import { networkInterfaces } from "node:os"
import { isLoopback } from "./webhook-target.ts"

export interface Own {
  /** The address on which it listens; undefined before it does. */
  readonly listening: { readonly host: string; readonly port: number } | undefined
  /** The value of `DURABLE_STREAMS_PUBLIC_URL`, without a slash at its end. */
  readonly publicUrl: string | undefined
}

/** Asked at every call: a webhook may be older than the server's port. */
export const OwnAddress = Context.Reference<Own>("durable-streams/subscriptions/own-address/OwnAddress", {
  defaultValue: () => ({ listening: undefined, publicUrl: undefined })
})

/** The fault of a URL that leads to this server, as a sentence; undefined if the URL itself does not say so. */
export const ownFault = (url: URL, own: Own): string | undefined => {
  const host = url.hostname.replace(/^\[|\]$/g, "")
  const address = host === "localhost" ? "127.0.0.1" : host
  return isPublic(url, own) || (isIP(address) !== 0 && isOwn(url, address, own)) ? itself : undefined
}

/** Whether a connection to this address, one of those of the URL's host, comes back to this server. */
export const isOwn = (url: URL, address: string, { listening }: Own): boolean =>
  listening !== undefined && portOf(url) === listening.port &&
  (isLoopback(address) || address === listening.host || interfaceAddresses().includes(address))

/** Other programs may be served under the same public name, so only the paths of streams count. */
const isPublic = (url: URL, { publicUrl }: Own): boolean => {
  const base = publicUrl === undefined ? null : URL.parse(publicUrl)
  if (base === null || originOf(base) !== originOf(url)) return false
  const path = plain(url.pathname)
  return ours.some((root) => `${path}/`.startsWith(`${plain(base.pathname).replace(/\/$/, "")}${root}/`))
}

/** The origin without the dot behind a name, which only says that the name is whole. */
const originOf = ({ origin }: URL): string => origin.replace(/\.(?=$|:\d)/, "")

const ours = ["/streams", "/v1/stream"]

/** The path in the form in which a proxy may pass it on. */
const plain = (path: string): string => {
  try {
    return decodeURIComponent(path).replace(/\/+/g, "/")
  } catch {
    return path
  }
}

const portOf = (url: URL): number => url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)

const interfaceAddresses = () =>
  Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address))

const itself = "A webhook does not go to this server itself, where every wake would be an event that wakes it again."
