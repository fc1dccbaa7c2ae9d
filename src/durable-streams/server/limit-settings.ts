/**
 * How a person sets the limits: what each is called, what it may be, and what is made of it here. Flags, variables and the
 * words for a daemon are made from this one table.
 */
import { durationMillis } from "../../domain/durations.ts"
import type { Limits } from "../../domain/limits.ts"
import { defaultLimits } from "../../domain/limits.ts"

interface LimitSetting {
  /** Without its dashes; the variable is DURABLE_STREAMS_ and the same in capitals. */
  readonly flag: string
  readonly unit: "bytes" | "time" | "count"
  readonly about: string
  readonly most: number
}

const hour = 60 * 60 * 1000

/** Nobody has a hundred million of anything here; a typing error has. */
const countMost = 100_000_000

export const limitSettings: { readonly [Key in keyof Limits]: LimitSetting } = {
  bodyBytesMax: { flag: "max-body", unit: "bytes", about: "Largest request body, in bytes", most: 256 * 1024 * 1024 },
  bodiesBytesMax: {
    flag: "max-bodies",
    unit: "bytes",
    about: "Bytes of all request bodies under way",
    most: 64 * 1024 * 1024 * 1024
  },
  headersMillis: {
    flag: "header-timeout",
    unit: "time",
    about: "How long the headers of a request may take",
    most: hour
  },
  requestMillis: { flag: "request-timeout", unit: "time", about: "How long a whole request may take", most: hour },
  stallMillis: {
    flag: "stall-timeout",
    unit: "time",
    about: "How long a follower or reader may take nothing of what it is sent",
    most: hour
  },
  connectionsMax: { flag: "max-connections", unit: "count", about: "Connections at once", most: countMost },
  followersMax: { flag: "max-followers", unit: "count", about: "Followers of one stream at once", most: countMost },
  streamsMax: { flag: "max-streams", unit: "count", about: "Streams", most: countMost },
  awakeMax: { flag: "max-awake", unit: "count", about: "Streams in memory at once", most: countMost },
  producersMax: { flag: "max-producers", unit: "count", about: "Producers that one stream knows", most: countMost }
}

export const limitKeys = Object.keys(limitSettings) as ReadonlyArray<keyof Limits>

export const variableOf = (key: keyof Limits): string =>
  `DURABLE_STREAMS_${limitSettings[key].flag.toUpperCase().replaceAll("-", "_")}`

/** The default as a person writes it. */
export const defaultText = (key: keyof Limits): string =>
  limitSettings[key].unit === "time" ? `${defaultLimits[key] / 1000}s` : `${defaultLimits[key]}`

/**
 * A stream that is awake takes some 20 KiB of the heap, so that all of them take a sixth of it. With a third, a heap of
 * 256 MB still held, but was so full that collecting garbage took most of the time. Beside the heap are the newest events,
 * 64 KiB of a stream at the most.
 */
const heapBytesPerAwake = 128 * 1024

/** The value of what a person wrote; undefined where it will not do. */
export const limitValue = (key: keyof Limits, text: string): number | undefined => {
  const { most, unit } = limitSettings[key]
  const value = /^\d{1,12}$/.test(text)
    ? Number(text) * (unit === "time" ? 1000 : 1)
    : unit === "time"
    ? durationMillis(text)
    : undefined
  return value !== undefined && value >= 1 && value <= most ? value : undefined
}

/** What would do, as the end of a sentence. */
export const limitExpected = (key: keyof Limits): string => {
  const { most, unit } = limitSettings[key]
  return unit === "time"
    ? "it is no time from 1ms to 1h: write seconds (30), or 500ms, 30s, 2m"
    : `it is no whole number from 1 to ${most}`
}

/** The limits as flags of a server that is to be started. */
export const limitFlags = (limits: Partial<Limits>): ReadonlyArray<string> =>
  limitKeys.flatMap((key) => {
    const value = limits[key]
    return value === undefined ? [] : [`--${limitSettings[key].flag}=${value}${unitOf(key)}`]
  })

/**
 * What is in force: what was asked for, and no more connections than the system has descriptors for. `heapBytes` is how
 * large the heap may grow.
 */
export const limitsInForce = (asked: Partial<Limits>, connectionsMost: number, heapBytes = Infinity): Limits => {
  const awakeMax = Math.min(defaultLimits.awakeMax, Math.floor(heapBytes / heapBytesPerAwake))
  const limits = { ...defaultLimits, awakeMax, ...asked }
  const connectionsMax = Math.min(limits.connectionsMax, connectionsMost)
  // A request is not whole before its headers are.
  // One body has room, however large it may be.
  const bodiesBytesMax = Math.max(limits.bodiesBytesMax, limits.bodyBytesMax)
  return {
    ...limits,
    bodiesBytesMax,
    connectionsMax,
    headersMillis: Math.min(limits.headersMillis, limits.requestMillis)
  }
}

const unitOf = (key: keyof Limits): string => limitSettings[key].unit === "time" ? "ms" : ""
