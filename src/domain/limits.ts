/**
 * How much a server takes on, so that nobody can make it fail for the others (docs/decisions/0010-limits.md). Each number
 * of `Limits` can be set, those of `FixedLimits` cannot; `/health` shows all. Browser-safe: imports nothing but `effect`.
 */
import { Context, Schema } from "effect"

export const Limits = Schema.Struct({
  /** The largest request body, in bytes. */
  bodyBytesMax: Schema.Int,
  /** Bytes of the bodies of all requests under way, but for small ones. */
  bodiesBytesMax: Schema.Int,
  /** How long the headers of a request may take to arrive, in milliseconds. */
  headersMillis: Schema.Int,
  /** How long a whole request may take to arrive, in milliseconds. */
  requestMillis: Schema.Int,
  /** How long whoever is sent an answer may take nothing of it, in milliseconds. */
  stallMillis: Schema.Int,
  /** Connections at once. */
  connectionsMax: Schema.Int,
  /** Followers of one stream at once, long-polls that wait included. */
  followersMax: Schema.Int,
  /** Streams, awake or not. */
  streamsMax: Schema.Int,
  /** Streams awake at once. */
  awakeMax: Schema.Int,
  /** Producers that one stream knows. */
  producersMax: Schema.Int
})
export type Limits = typeof Limits.Type

export const defaultLimits: Limits = {
  // Far more than an event needs, and little enough that a thousand bodies at once fit into memory.
  bodyBytesMax: 1024 * 1024,
  // What a server on the smallest machines has to spare, and sixty-four of the largest bodies at once.
  bodiesBytesMax: 64 * 1024 * 1024,
  // Headers are a packet or two: ten seconds are a lost packet, sent again three times.
  headersMillis: 10_000,
  // A body of a megabyte arrives in this time on any line worth the name.
  requestMillis: 30_000,
  // Proxies and phones give a silent connection up after as long; whoever comes back goes on where it was.
  stallMillis: 60_000,
  // What a server of its own size would keep, where the system allows so many (`file-limit.ts`): 30 KB each.
  connectionsMax: 16_384,
  // An event to all of them is about 30 ms in which nobody else is served.
  followersMax: 10_000,
  // A file each in one directory, all of them listed at the start and by `GET /streams`.
  streamsMax: 100_000,
  // As many as there are connections to use them; fewer where the heap is small (`heapBytesPerAwake`).
  awakeMax: 16_384,
  // A hundred bytes each, read again whenever the stream wakes.
  producersMax: 10_000
}

export const FixedLimits = Schema.Struct({
  /** Events of one append. */
  appendEventsMax: Schema.Int,
  /** Bytes of the appends to one stream that wait for the disk. */
  waitingBytesMax: Schema.Int,
  /** Subscriptions. */
  subscriptionsMax: Schema.Int,
  /** Streams that one subscription reads. */
  linksMax: Schema.Int
})
export type FixedLimits = typeof FixedLimits.Type

export const fixedLimits: FixedLimits = {
  // Each takes a hundred bytes and more, of memory and of the log, and a microsecond, however little it says: as many are
  // 40 ms in which nobody else is served, and a body of the largest size there may be would be seconds and gigabytes.
  appendEventsMax: 32_768,
  // A minute of a slow disk, not a heap full of it.
  waitingBytesMax: 64 * 1024 * 1024,
  // Each is kept in memory, and asked at every append that its pattern may mean.
  subscriptionsMax: 10_000,
  // Each is kept in memory, and was once opened to learn its tail.
  linksMax: 10_000
}

/** The limits in force; those of a server are given to everything below it. */
export const CurrentLimits = Context.Reference<Limits>("durable-streams/limits", {
  defaultValue: () => defaultLimits
})

/** What is open now of what has limits. */
export const Usage = Schema.Struct({
  connections: Schema.Int,
  followers: Schema.Int,
  /** Streams that are in memory and have their file open, or will have. */
  awakeStreams: Schema.Int,
  streams: Schema.Int
})
