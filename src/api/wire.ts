/**
 * The shapes of answers and the paths of resources, shared by server, command line and browser. Browser-safe, and apart
 * from `api.ts` so that a command does not load the description of the API.
 */
import { Schema } from "effect"
import { FixedLimits, Limits, Usage } from "../domain/limits.ts"
import { Offset } from "../domain/types.ts"

/**
 * A server, and its data directory as `/health` names it if only that server will do: another server can have the port by
 * the time of the request.
 */
export interface Address {
  readonly url: string
  readonly dataDirectory?: string | undefined
}

/** Names the data directory whose server the client means: any other server answers 421 (docs/protocol.md 7). */
export const directoryHeader = "durable-streams-directory"

/** The URL without a slash at its end, and the headers that say which server the client means. */
export const toTarget = (address: string | Address) => {
  const { dataDirectory, url } = typeof address === "string" ? { url: address, dataDirectory: undefined } : address
  return {
    base: url.replace(/(?<!\/)\/+$/, ""),
    meant: dataDirectory === undefined ? {} : { [directoryHeader]: toDirectoryHeader(dataDirectory) }
  }
}

/** Asks `/health` to prove whose server it is: 32 hexadecimal digits (docs/protocol.md 6). */
export const challengeHeader = "durable-streams-challenge"

/** The header of its answer with the proof. */
export const proofHeader = "durable-streams-proof"

/** A path as the value of `directoryHeader`. */
export const toDirectoryHeader = (dataDirectory: string): string => encodeURIComponent(dataDirectory)

/**
 * The answer of `/health`, by which the command line knows its own daemon. The daemon may be of an earlier version, so every
 * later member is optional.
 */
export const Health = Schema.Struct({
  /** `failing`: nothing can be stored now, and the answer is 503. */
  status: Schema.Literals(["ok", "failing"]),
  /** The reason for `failing`, with the next step. */
  reason: Schema.optionalKey(Schema.String),
  pid: Schema.Int,
  /** Tells the process from others that have had its pid; left out if the system does not say it. */
  process: Schema.optionalKey(Schema.String),
  version: Schema.String,
  /** Absolute path of the data directory, links resolved. */
  dataDirectory: Schema.String,
  /** The address that the server listens on, as its setting names it. */
  host: Schema.String,
  storage: Schema.String,
  durability: Schema.String,
  /** The largest request body, in bytes. */
  bodyBytesMax: Schema.Int,
  /** More origins whose pages may use the server, besides those of this machine; `*` is all origins. */
  corsOrigins: Schema.Array(Schema.String),
  /** More names that the server answers to, besides its addresses and localhost; `*` is all names. */
  allowHosts: Schema.optionalKey(Schema.Array(Schema.String)),
  /** How long a long-poll waits for news, in milliseconds. */
  longPollMillis: Schema.Int,
  /** The limits of the server. An earlier version leaves out the optional ones. */
  limits: Schema.Struct({
    ...Limits.fields,
    awakeMax: Schema.optionalKey(Schema.Int),
    bodiesBytesMax: Schema.optionalKey(Schema.Int),
    fixed: Schema.optionalKey(FixedLimits)
  }),
  /** The settings of rooms; left out when no room has any. */
  settings: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)),
  usage: Usage,
  startedAt: Schema.String,
  uptimeSeconds: Schema.Finite
})
export type Health = typeof Health.Type

/** The answer to an append of several events. */
export const AppendReceipt = Schema.Struct({
  eventStreamId: Schema.String,
  count: Schema.Int,
  /** The offset of the first of them. */
  offset: Offset,
  /** The offset of the next event. */
  nextOffset: Offset
})
export type AppendReceipt = typeof AppendReceipt.Type

/** The answer to a repeated append of a producer. */
export const AppendRepeated = Schema.Struct({
  eventStreamId: Schema.String,
  repeated: Schema.Literal(true),
  /** The highest number accepted from it. */
  producer: Schema.Struct({ epoch: Schema.Int, seq: Schema.Int }),
  /** The stream's tail. */
  nextOffset: Offset
})

export const StreamList = Schema.Struct({ streams: Schema.Array(Schema.String) })
export type StreamList = typeof StreamList.Type

/** The path of a stream's resource: the whole name is one segment, `/` included. */
export const streamPath = (name: string): string => `/streams/${encodeURIComponent(name)}`

/** The path of a stream for the protocol: the name, percent-encoded (PROTOCOL 5). */
export const protocolPath = (name: string): string => `/v1/stream/${encodeURIComponent(name)}`

/**
 * An SSE comment, so that no proxy takes a quiet connection for a dead one. No empty line follows it: some parsers read an
 * empty line as an event without data (fetch-event-source).
 */
export const keepAliveComment = ": keep-alive\n"
