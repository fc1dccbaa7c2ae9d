/**
 * The targets that webhooks may have (PROTOCOL.md 12.8): https on the open internet; in development also http on this
 * machine's own loopback. A URL is judged when a subscription is made, and each address of its name when it is called: the
 * owner of a name may change its addresses in between.
 */
import { BlockList, isIP } from "node:net"

/** The longest URL of a webhook. */
export const urlLengthMax = 2_048

/** The fault of a URL, as a sentence; undefined if a webhook may go there. */
export const urlFault = (text: string, development: boolean): string | undefined => {
  if (text.length > urlLengthMax) return `The URL of a webhook has at most ${urlLengthMax} characters.`
  // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
  if (/[\u0000-\u0020\u007f\\]/.test(text)) {
    return "The URL of a webhook has no spaces, control characters or backslashes."
  }
  if (!URL.canParse(text) || authorityOf(text) === "") {
    return "The URL of a webhook must be a whole one: https://host/path."
  }
  const url = new URL(text)
  if (url.username !== "" || url.password !== "") return "The URL of a webhook holds no user name and no password."
  const host = hostOf(url)
  // 2130706433, 0x7f.1, 017700000001 and other digits are all 127.0.0.1, in a form that hides it.
  if (isIP(host) === 4 && authorityOf(text).replace(/:\d*$/, "") !== host) {
    return "Write the address as four decimal numbers."
  }
  if (url.port === "0") return "Nothing listens on port 0."
  if (url.protocol === "http:") return development && isLocalHost(host) ? undefined : mustBeHttps(development)
  if (url.protocol !== "https:") return mustBeHttps(development)
  if (isIP(host) !== 0) return isOpen(host) ? undefined : `The address ${host} is not on the open internet.`
  return isLocalName(host) ? `The name ${JSON.stringify(host)} is not one of the open internet.` : undefined
}

/** Whether a webhook of that URL, which has no fault, may connect to this address. */
export const mayConnect = (url: URL, address: string): boolean =>
  url.protocol === "http:" ? loopback.check(address, family(address)) : isOpen(address)

/** The host without the brackets of an IPv6 address. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, "")

const mustBeHttps = (development: boolean): string =>
  "A webhook goes to https" +
  (development ? ", or to http on localhost or 127.0.0.x." : "; http on localhost is for servers that listen there.")

/** Host and port as the URL writes them; empty if the slashes before them are missing. */
const authorityOf = (text: string): string => /^[a-z]+:\/\/([^/?#]*)/i.exec(text)?.[1] ?? ""

const isLocalHost = (host: string): boolean => host === "localhost" || /^127\.0\.0\.\d{1,3}$/.test(host)

/** Whether the name has a meaning in a local network only. */
const isLocalName = (host: string): boolean => {
  const name = host.replace(/\.$/, "")
  return !name.includes(".") || localSuffixes.some((suffix) => name.endsWith(suffix))
}

const localSuffixes = [".localhost", ".local", ".internal", ".intranet", ".lan", ".home", ".corp", ".home.arpa"]

const family = (address: string) => isIP(address) === 6 ? "ipv6" : "ipv4"

/** Whether the address is one of the open internet: unicast, assigned, and in no private range. */
const isOpen = (address: string): boolean => {
  const version = isIP(address)
  if (version === 4) return !closed.check(address, "ipv4")
  return version === 6 && global.check(address, "ipv6") && !closed.check(address, "ipv6")
}

const blockList = (networks: ReadonlyArray<readonly [network: string, bits: number]>): BlockList => {
  const list = new BlockList()
  for (const [network, bits] of networks) list.addSubnet(network, bits, family(network))
  return list
}

/** Whether an address is this machine's own loopback, in any notation of IPv6. */
export const isLoopback = (address: string): boolean => everyLoopback.check(address, family(address))

const everyLoopback = blockList([["127.0.0.0", 8], ["::1", 128], ["::ffff:127.0.0.0", 104]])

const loopback = blockList([["127.0.0.0", 24], ["::1", 128]])

/** The public range of IPv6; IPv4 within IPv6 (::ffff:0:0/96, 64:ff9b::/96) is outside of it. */
const global = blockList([["2000::", 3]])

/** The registries of special addresses (IANA, RFC 6890), and the addresses that clouds keep for themselves. */
const closed = blockList([
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["168.63.129.16", 32],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.31.196.0", 24],
  ["192.52.193.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["192.175.48.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
  ["2620:4f:8000::", 48]
])
