/**
 * How much a server takes on, so that no client can make it fail for the others (docs/decisions/0010-limits.md). Each number
 * of `Limits` is a setting, those of `FixedLimits` are fixed; `/health` shows all. Browser-safe: imports nothing but `effect`.
 */
import { Context, Schema } from "effect"
import { bytes, count, time } from "./setting.ts"

/** A hundred million of anything here is a typing error. */
const countMost = 100_000_000

/** The limits as settings of a server. */
export const limitSettings = {
  /** The largest request body, in bytes. */
  bodyBytesMax: bytes({
    flag: "max-body",
    about: "Largest request body, in bytes",
    // Far more than an event needs, and little enough that a thousand bodies at once fit into memory.
    default: 1024 * 1024,
    most: 256 * 1024 * 1024,
    health: "itself",
    page: { text: "the largest request body" }
  }),
  /** Bytes of the bodies of all requests under way, but for small ones. */
  bodiesBytesMax: bytes({
    flag: "max-bodies",
    about: "Bytes of all request bodies under way",
    // The memory that a server on the smallest machines has to spare, and sixty-four of the largest bodies at once.
    default: 64 * 1024 * 1024,
    most: 64 * 1024 * 1024 * 1024,
    health: "limits",
    page: { text: "memory for all request bodies at once; bodies up to 16 KiB do not count" }
  }),
  /** How long the headers of a request may take to arrive, in milliseconds. */
  headersMillis: time({
    flag: "header-timeout",
    about: "How long the headers of a request may take",
    // Headers are a packet or two: ten seconds are a lost packet, sent again three times.
    default: 10_000,
    health: "limits",
    page: { text: "how long the headers of a request may take to arrive" }
  }),
  /** How long a whole request may take to arrive, in milliseconds. */
  requestMillis: time({
    flag: "request-timeout",
    about: "How long a whole request may take",
    // A body of a megabyte arrives in this time on any line worth the name.
    default: 30_000,
    health: "limits",
    page: { text: "how long the whole of a request may take to arrive" }
  }),
  /** How long a client may take nothing of an answer, in milliseconds. */
  stallMillis: time({
    flag: "stall-timeout",
    about: "How long a follower or reader may take nothing of what it is sent",
    // Proxies and phones give a silent connection up after as long; a follower that comes back goes on where it was.
    default: 60_000,
    health: "limits",
    page: {
      text:
        "how long a follower or reader may take nothing of what it is sent, before it is cut off; up to twice as long"
    }
  }),
  /** Connections at once. */
  connectionsMax: count({
    flag: "max-connections",
    about: "Connections at once",
    // As many as a server of this size keeps, if the system allows so many (`file-limit.ts`): 30 KB each.
    default: 16_384,
    most: countMost,
    health: "limits",
    page: { default: "16384, or what the descriptors allow", text: "connections at once" }
  }),
  /** Followers of one stream at once, long-polls that wait included. */
  followersMax: count({
    flag: "max-followers",
    about: "Followers of one stream at once",
    // Sending one event to all of them blocks the event loop for about 30 ms.
    default: 10_000,
    most: countMost,
    health: "limits",
    page: { text: "followers of one stream at once" }
  }),
  /** Streams, awake or not. */
  streamsMax: count({
    flag: "max-streams",
    about: "Streams",
    // A file each in one directory, all of them listed at the start and by `GET /streams`.
    default: 100_000,
    most: countMost,
    health: "limits",
    page: { text: "streams" }
  }),
  /** Streams awake at once. */
  awakeMax: count({
    flag: "max-awake",
    about: "Streams in memory at once",
    // As many as there are connections to use them; fewer if the heap is small (`heapBytesPerAwake`).
    default: 16_384,
    most: countMost,
    health: "limits",
    page: {
      default: "16384, or what the heap allows",
      text: "streams in memory at once; the longest idle one makes room for another"
    }
  }),
  /** Producers that one stream knows. */
  producersMax: count({
    flag: "max-producers",
    about: "Producers that one stream knows",
    // A hundred bytes each, read again whenever the stream wakes.
    default: 10_000,
    most: countMost,
    health: "limits",
    page: { text: "producers that one stream knows" }
  })
}

type LimitKey = keyof typeof limitSettings

const fromSettings = <A>(make: (key: LimitKey) => A) =>
  Object.fromEntries((Object.keys(limitSettings) as Array<LimitKey>).map((key) => [key, make(key)])) as {
    readonly [Key in LimitKey]: A
  }

export const Limits = Schema.Struct(fromSettings(() => Schema.Int))
export type Limits = typeof Limits.Type

export const defaultLimits: Limits = fromSettings((key) => limitSettings[key].default)

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
  // Even the smallest event takes a hundred bytes of memory and of the log, and a microsecond: so many block the event loop
  // for 40 ms. A body of the largest size that can be set would take seconds and gigabytes.
  appendEventsMax: 32_768,
  // A minute of a slow disk, not a heap full of it.
  waitingBytesMax: 64 * 1024 * 1024,
  // Each is kept in memory, and checked at every append to which its pattern may apply.
  subscriptionsMax: 10_000,
  // Each is kept in memory, and is opened once to learn its tail.
  linksMax: 10_000
}

/** The limits in force; a server gives them to everything below it. */
export const CurrentLimits = Context.Reference<Limits>("durable-streams/limits", {
  defaultValue: () => defaultLimits
})

/** How much is in use now of each limit. */
export const Usage = Schema.Struct({
  connections: Schema.Int,
  followers: Schema.Int,
  /** Streams in memory, whose file is open or about to be. */
  awakeStreams: Schema.Int,
  streams: Schema.Int
})
