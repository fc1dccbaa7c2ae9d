/**
 * What a server needs to know before it starts.
 */
import { defaultDirectory } from "../../data-directory/paths.ts"
import type { Limits } from "../../domain/limits.ts"
import { defaultLimits } from "../../domain/limits.ts"
import type { StorageKind } from "./storages.ts"

export interface ServerSettings {
  readonly host: string
  /** Undefined: 3000, or a free one where that is taken. */
  readonly port: number | undefined
  /** Absolute path. */
  readonly dataDirectory: string
  readonly storage: StorageKind
  readonly durability: "fsync" | "os"
  /** The largest request body, in bytes. */
  readonly bodyBytesMax: number
  /** How much it takes on besides; what is left out has its default. */
  readonly limits?: Partial<Omit<Limits, "bodyBytesMax">>
  /** Origins whose pages may use the server, besides those of this machine; `*` is all of them. */
  readonly corsOrigins: ReadonlyArray<string>
  /** Names it answers to besides its addresses and localhost, in small letters; `*` is all of them. */
  readonly allowHosts?: ReadonlyArray<string>
  /** How long a long-poll waits for news, in milliseconds. */
  readonly longPollMillis: number
}

export const defaults = {
  host: "127.0.0.1",
  port: 3000,
  dataDirectory: defaultDirectory,
  storage: "fs",
  durability: "fsync",
  bodyBytesMax: defaultLimits.bodyBytesMax,
  corsOrigins: [] as ReadonlyArray<string>,
  allowHosts: [] as ReadonlyArray<string>,
  // Below the minute after which proxies give up on a silent answer.
  longPollMillis: 30_000
} as const

/**
 * An origin as browsers write it (RFC 6454 6.1), or `*`; undefined when the text is none. No patterns: an origin is let in
 * as a whole.
 */
export const toOrigin = (text: string): string | undefined => {
  if (text === "*") return text
  const origin = /^https?:\/\/[^\s/?#@\\]+$/i.test(text) && URL.canParse(text)
    ? new URL(text).origin
    : text.toLowerCase()
  return /^[a-z][a-z0-9+.-]*:\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.test(origin) ? origin : undefined
}

/** A name that requests may come by, without a port, or `*`; undefined when the text is none. */
export const toAllowedHost = (text: string): string | undefined => {
  const name = text.toLowerCase()
  return name === "*" || /^(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})$/.test(name) ? name : undefined
}
