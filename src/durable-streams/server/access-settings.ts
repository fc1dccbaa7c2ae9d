/**
 * The settings that say which web pages may use a server, and by which names requests may reach it
 * (docs/decisions/0003-closed-by-default.md).
 */
import { list } from "../../domain/setting.ts"

/** Reads an origin as browsers write it (RFC 6454 6.1), or `*`. No patterns: an origin is let in as a whole. */
const toOrigin = (text: string): string | undefined => {
  if (text === "*") return text
  const origin = /^https?:\/\/[^\s/?#@\\]+$/i.test(text) && URL.canParse(text)
    ? new URL(text).origin
    : text.toLowerCase()
  return /^[a-z][a-z0-9+.-]*:\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.test(origin) ? origin : undefined
}

/** Reads a host name without a port, in small letters, or `*`. */
const toAllowedHost = (text: string): string | undefined => {
  const name = text.toLowerCase()
  return name === "*" || /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})$/.test(name) ? name : undefined
}

export const accessSettings = {
  /** Origins whose pages may use the server, besides those of this machine; `*` is all of them. */
  corsOrigins: list(
    {
      flag: "cors-origin",
      about: "Let web pages of this origin use the server, or of all (*); may be repeated",
      leftOut: "only pages of this machine",
      default: [],
      health: "itself",
      page: {
        default: "",
        text:
          "lets pages of this origin (`https://app.example`) use the server, besides those of this machine; may be " +
          "repeated. `*`: pages of every origin, of which the server warns. An empty value: none"
      }
    },
    "origin",
    toOrigin,
    "it is no origin: write scheme://host or scheme://host:port and nothing else, or *"
  ),
  /** Names that the server answers to besides its addresses and localhost, in small letters; `*` is all of them. */
  allowHosts: list(
    {
      flag: "allow-host",
      about: "Answer to requests for this host name, too, or for all (*); may be repeated",
      leftOut: "only to localhost and addresses",
      default: [],
      health: "itself",
      page: {
        default: "",
        text: "answers to requests for this host name, besides `localhost` and addresses, on every port; may be " +
          "repeated. The host of `DURABLE_STREAMS_PUBLIC_URL` is one. `*`: to all, of which the server warns. For " +
          "proxies: [how](http.md#3-behind-a-proxy)"
      }
    },
    "name",
    toAllowedHost,
    "it is no name: write the host without scheme, port or path, or *"
  )
}
