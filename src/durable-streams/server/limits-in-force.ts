/**
 * The limits that a server keeps: those that were asked for, as far as the machine has room for them.
 */
import type { Limits } from "../../domain/limits.ts"
import { defaultLimits } from "../../domain/limits.ts"

/**
 * A stream that is awake takes some 20 KiB of the heap, so that all of them take a sixth of it. With a third, a heap of
 * 256 MB still held, but was so full that collecting garbage took most of the time. Beside the heap are the newest events,
 * 64 KiB of a stream at the most.
 */
const heapBytesPerAwake = 128 * 1024

type Asked = { readonly [Key in keyof Limits]?: Limits[Key] | undefined }

/** `connectionsMost` is how many the system has descriptors for, `heapBytes` how large the heap may grow. */
export const limitsInForce = (asked: Asked, connectionsMost: number, heapBytes = Infinity): Limits => {
  const awakeMax = Math.min(defaultLimits.awakeMax, Math.floor(heapBytes / heapBytesPerAwake))
  const defaults: Limits = { ...defaultLimits, awakeMax }
  const keys = Object.keys(defaults) as Array<keyof Limits>
  const limits = Object.fromEntries(keys.map((key) => [key, asked[key] ?? defaults[key]])) as Limits
  return {
    ...limits,
    // One body has room, however large it may be.
    bodiesBytesMax: Math.max(limits.bodiesBytesMax, limits.bodyBytesMax),
    connectionsMax: Math.min(limits.connectionsMax, connectionsMost),
    // A request is not whole before its headers are.
    headersMillis: Math.min(limits.headersMillis, limits.requestMillis)
  }
}
