/**
 * What workers, webhooks and administrators ask of a subscription, as transitions.
 */
import { Result } from "effect"
import type { Draft } from "./draft.ts"
import type { SubscriptionRefused } from "./refusals.ts"
import { AckOffsetInvalid, AlreadyClaimed, NoPendingWork, RequestInvalid, WakeFenced } from "./refusals.ts"
import { withoutEndSlashes } from "./stream-names.ts"
import type { Link } from "./subscription.ts"
import { isPending, subjectOf } from "./subscription.ts"
import type { Act, Matches, News, Prepare } from "./wake-cycle.ts"
import { clearWake, settle } from "./wake-cycle.ts"

/** A stream as a wake shows it. */
export interface StreamStatus {
  readonly path: string
  readonly link: Link
}

/**
 * The most streams one wake shows. Those with something to read come first; what does not fit is pending still, and comes
 * with the next wake.
 */
export const shownMax = 1_000

/** Which wake a request is about, and what its token is for. */
export interface WakeReference {
  readonly wakeId: string
  readonly generation: number
  readonly tokenGeneration: number
}

export interface AckRequest extends WakeReference {
  /** The streams, by their names as they were sent, each with the first offset that was not processed; undefined where what was sent is none. */
  readonly acks: ReadonlyArray<readonly [path: string, offset: number | undefined]>
  readonly done: boolean
}

export interface Claimed {
  /** Whom the worker's token is for. */
  readonly subject: string
  readonly leaseMillis: number
  readonly wakeId: string
  readonly generation: number
  readonly streams: ReadonlyArray<StreamStatus>
}

/** The streams of a wake. */
export const shown = (draft: Draft): ReadonlyArray<StreamStatus> => {
  const streams: Array<StreamStatus> = []
  for (const path of draft.pending()) {
    if (streams.length >= shownMax) return streams
    streams.push({ path, link: draft.link(path)! })
  }
  for (const [path, link] of draft.all()) {
    if (streams.length >= shownMax) break
    if (!isPending(link)) streams.push({ path, link })
  }
  return streams
}

/** A worker takes the work. */
export const claim = (worker: string): Act<Claimed> => (draft) => {
  const { generation, lease, from: { config } } = draft
  if (config.type !== "pull-wake") return notOfType("pull-wake", config.type)
  if (lease !== undefined) {
    return Result.fail(new AlreadyClaimed({ current_holder: lease.holder ?? "", generation }))
  }
  settle(draft)
  if (draft.wake === undefined) return Result.fail(new NoPendingWork())
  // The worker is there: nobody needs to be told any more.
  draft.deliver = false
  draft.retry = undefined
  draft.wake = { ...draft.wake, delivered: true }
  draft.holdLease(worker)
  return Result.succeed({
    subject: subjectOf(draft.from),
    leaseMillis: config.leaseMillis,
    wakeId: draft.wake.id,
    generation: draft.generation,
    streams: shown(draft)
  })
}

/** Moves cursors, and holds the lease or, when done, ends it. Answers whether another wake follows. */
export const ack = (type: "webhook" | "pull-wake", request: AckRequest): Act<boolean> => (draft) => {
  const { config } = draft.from
  if (config.type !== type) return notOfType(type, config.type)
  const acks = request.acks.map(([sent, offset]) => [meant(draft, sent), offset] as const)
  const fault = fence(draft, request) ?? acks.map((one) => ackFault(draft, ...one)).find(Boolean)
  if (fault !== undefined) return Result.fail(fault)
  for (const [path, offset = 0] of acks) {
    const link = draft.link(path)!
    if (offset > link.acked) draft.setLink(path, { ...link, acked: offset })
  }
  if (request.done) {
    clearWake(draft)
    settle(draft)
    return Result.succeed(draft.wake !== undefined)
  }
  draft.retry = undefined
  draft.deliver = false
  draft.wake = { ...draft.wake!, delivered: true }
  draft.holdLease(draft.lease?.holder)
  return Result.succeed(false)
}

/** A worker gives the work back. */
export const release = (reference: WakeReference): Act<void> => (draft) => {
  const { config } = draft.from
  if (config.type !== "pull-wake") return notOfType("pull-wake", config.type)
  const fault = fence(draft, reference)
  if (fault !== undefined) return Result.fail(fault)
  clearWake(draft)
  return Result.succeed(undefined)
}

/** Links streams by name, each at its tail. Comes before the news, which may be about them already. */
export const linkExplicitly = (streams: ReadonlyMap<string, News>, matches: Matches): Prepare => (draft) => {
  for (const [path, { exists, life, tail }] of streams) {
    const link = draft.link(path)
    draft.setLink(
      path,
      link === undefined
        ? { glob: matches(path), explicit: true, acked: tail, life: exists ? life : undefined, tail }
        : { ...link, explicit: true }
    )
  }
}

/** Links what the pattern already finds, each stream at its tail. */
export const linkByGlob = (streams: ReadonlyMap<string, News>): Prepare => (draft) => {
  for (const [path, { exists, life, tail }] of streams) {
    const link = draft.link(path)
    if (link !== undefined) draft.setLink(path, { ...link, glob: true })
    else if (exists) draft.setLink(path, { glob: true, explicit: false, acked: tail, life, tail })
  }
}

/** Takes away the link by name; that by pattern stays. */
export const unlink = (sent: string): Act<void> => (draft) => {
  const path = meant(draft, sent)
  const link = draft.link(path)
  if (link?.explicit === true) draft.setLink(path, link.glob ? { ...link, explicit: false } : undefined)
  return Result.succeed(undefined)
}

/** The stream that is meant: the one of that name, if it is read or was shown and deleted since. */
const meant = (draft: Draft, sent: string): string =>
  draft.link(sent) !== undefined || draft.wake?.gone.includes(sent) === true ? sent : withoutEndSlashes(sent)

const notOfType = (wanted: string, type: string): Result.Result<never, SubscriptionRefused> =>
  Result.fail(new RequestInvalid({ message: `This is for ${wanted} subscriptions, and this one is ${type}.` }))

const fence = (draft: Draft, { generation, tokenGeneration, wakeId }: WakeReference): SubscriptionRefused | undefined =>
  draft.wake?.id === wakeId && generation === draft.generation && tokenGeneration === draft.generation
    ? undefined
    : new WakeFenced()

const ackFault = (draft: Draft, path: string, offset: number | undefined): SubscriptionRefused | undefined => {
  const link = draft.link(path)
  const named = JSON.stringify(path)
  if (link === undefined) return refusedOffset(`This subscription does not read ${named}.`)
  if (draft.wake?.gone.includes(path) === true) {
    return refusedOffset(
      `The stream ${named} was deleted or restored since this wake; the next wake shows what is new.`
    )
  }
  if (offset === undefined) {
    return refusedOffset(
      `What is acknowledged for ${named} is no offset of this server: those have 16 digits.`
    )
  }
  if (offset < link.acked) return refusedOffset(`The cursor of ${named} is already further.`)
  return offset > link.tail ? refusedOffset(`The stream ${named} is not that long.`) : undefined
}

const refusedOffset = (message: string) => new AckOffsetInvalid({ message })
