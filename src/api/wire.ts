/**
 * The shapes of answers and the paths of resources, shared by server, command line and browser. Browser-safe, and apart
 * from `api.ts` so that a command need not load what describes an API.
 */
import { Schema } from "effect"
import { FixedLimits, Limits, Usage } from "../domain/limits.ts"
import { Offset } from "../domain/types.ts"

/**
 * A server, and, where it has to be that one, its data directory as `/health` says it: a port can be another's by the time
 * that it is asked.
 */
export interface Address {
  readonly url: string
  readonly dataDirectory?: string | undefined
}

/** The data directory whose server is meant: any other answers 421 (docs/protocol.md 7). */
export const directoryHeader = "durable-streams-directory"

/** Where to ask, without a slash at its end, and the headers that say who is meant. */
export const toTarget = (address: string | Address) => {
  const { dataDirectory, url } = typeof address === "string" ? { url: address, dataDirectory: undefined } : address
  return {
    base: url.replace(/(?<!\/)\/+$/, ""),
    meant: dataDirectory === undefined ? {} : { [directoryHeader]: toDirectoryHeader(dataDirectory) }
  }
}

/** Asks `/health` to prove whose server it is: 32 hexadecimal digits (docs/protocol.md 6). */
export const challengeHeader = "durable-streams-challenge"

/** The proof in its answer. */
export const proofHeader = "durable-streams-proof"

/** A path as that header's value. */
export const toDirectoryHeader = (dataDirectory: string): string => encodeURIComponent(dataDirectory)

/**
 * What `/health` answers: how the command line knows that it found its own daemon. That may be of an earlier version, so
 * what comes to be said later is optional.
 */
export const Health = Schema.Struct({
  /** `failing`: nothing can be stored now, and the answer is 503. */
  status: Schema.Literals(["ok", "failing"]),
  /** Why it fails, and what to do. */
  reason: Schema.optionalKey(Schema.String),
  pid: Schema.Int,
  /** Tells that process from every other with its number; left out when the system does not tell. */
  process: Schema.optionalKey(Schema.String),
  version: Schema.String,
  /** Absolute path of the data directory, links resolved. */
  dataDirectory: Schema.String,
  /** The address it listens on, as it was given. */
  host: Schema.String,
  storage: Schema.String,
  durability: Schema.String,
  /** The largest request body, in bytes. */
  bodyBytesMax: Schema.Int,
  /** Origins whose pages may use the server, besides those of this machine; `*` is all of them. */
  corsOrigins: Schema.Array(Schema.String),
  /** Names it answers to besides its addresses and localhost; `*` is all of them. */
  allowHosts: Schema.optionalKey(Schema.Array(Schema.String)),
  /** How long a long-poll waits for news, in milliseconds. */
  longPollMillis: Schema.Int,
  /** What the server takes on, and what is open of it. A server that does not say what is fixed is an earlier one. */
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

/** What an append of several events answers. */
export const AppendReceipt = Schema.Struct({
  eventStreamId: Schema.String,
  count: Schema.Int,
  /** The offset of the first of them. */
  offset: Offset,
  /** The offset the next event will have. */
  nextOffset: Offset
})
export type AppendReceipt = typeof AppendReceipt.Type

/** What the append of a producer answers that had been made before. */
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
 * An SSE comment, which keeps a quiet connection from being taken for a dead one. No empty line is behind it: some parsers
 * take one for an event without data (fetch-event-source).
 */
export const keepAliveComment = ": keep-alive\n"
