/**
 * The transitions that workers, webhooks and administrators ask for.
 */
import { Result } from "effect"
import type { SubscriptionRefused } from "./refusals.ts"
import { AckOffsetInvalid, AlreadyClaimed, NoPendingWork, RequestInvalid, WakeFenced } from "./refusals.ts"
import { withoutEndSlashes } from "./stream-names.ts"
import type { Link } from "./subscription.ts"
import { isPending, subjectOf } from "./subscription.ts"
import type { Draft } from "./transition-draft.ts"
import type { Act, Matches, News, Prepare } from "./wake-cycle.ts"
import { clearWake, settle } from "./wake-cycle.ts"

/** A stream as a wake shows it. */
export interface StreamStatus {
  readonly path: string
  readonly link: Link
}

/**
 * The most streams that one wake shows. Those with something to read come first; the others stay pending and come with the
 * next wake.
 */
export const shownMax = 1_000

/** The wake that a request names, and the generation that its token is for. */
export interface WakeReference {
  readonly wakeId: string
  readonly generation: number
  readonly tokenGeneration: number
}

export interface AckRequest extends WakeReference {
  /**
   * Each stream by the name that the client sent, with the first offset that it did not process; undefined if it sent no
   * offset of this server.
   */
  readonly acks: ReadonlyArray<readonly [path: string, offset: number | undefined]>
  readonly done: boolean
}

export interface Claimed {
  /** The subject of the worker's token. */
  readonly subject: string
  readonly leaseMillis: number
  readonly wakeId: string
  readonly generation: number
  readonly streams: ReadonlyArray<StreamStatus>
}

/** The streams of a wake. */
export const listShown = (draft: Draft): ReadonlyArray<StreamStatus> => {
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
    return Result.fail(
      new AlreadyClaimed({
        current_holder: lease.holder ?? "",
        generation
      })
    )
  }
  settle(draft)
  if (draft.wake === undefined) return Result.fail(new NoPendingWork())
  // The worker is there: the wake needs no delivery any more.
  draft.deliver = false
  draft.retry = undefined
  draft.wake = { ...draft.wake, delivered: true }
  draft.holdLease(worker)
  return Result.succeed({
    subject: subjectOf(draft.from),
    leaseMillis: config.leaseMillis,
    wakeId: draft.wake.id,
    generation: draft.generation,
    streams: listShown(draft)
  })
}

/** Moves cursors and renews the lease, or ends it if the work is done. Returns whether another wake follows. */
export const ack = (type: "webhook" | "pull-wake", request: AckRequest): Act<boolean> => (draft) => {
  const { config } = draft.from
  if (config.type !== type) return notOfType(type, config.type)
  const acks = request.acks.map(([sent, offset]) => [findPath(draft, sent), offset] as const)
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

/** Links streams by name, each at its tail. It runs before the news are taken in: they may be about these streams. */
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

/** Links the streams that the pattern means now, each at its tail. */
export const linkByGlob = (streams: ReadonlyMap<string, News>): Prepare => (draft) => {
  for (const [path, { exists, life, tail }] of streams) {
    const link = draft.link(path)
    if (link !== undefined) draft.setLink(path, { ...link, glob: true })
    else if (exists) draft.setLink(path, { glob: true, explicit: false, acked: tail, life, tail })
  }
}

/** Ends the link by name; a link by pattern stays. */
export const unlink = (sent: string): Act<void> => (draft) => {
  const path = findPath(draft, sent)
  const link = draft.link(path)
  if (link?.explicit === true) draft.setLink(path, link.glob ? { ...link, explicit: false } : undefined)
  return Result.succeed(undefined)
}

/** The path that a client means: the name as it sent it, if the subscription reads that stream, or showed it before its end. */
const findPath = (draft: Draft, sent: string): string =>
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
  if (link === undefined) return new AckOffsetInvalid({ message: `This subscription does not read ${named}.` })
  if (draft.wake?.gone.includes(path) === true) {
    return new AckOffsetInvalid({
      message: `The stream ${named} was deleted or restored since this wake; the next wake shows what is new.`
    })
  }
  if (offset === undefined) {
    return new AckOffsetInvalid({
      message: `What is acknowledged for ${named} is no offset of this server: those have 16 digits.`
    })
  }
  if (offset < link.acked) return new AckOffsetInvalid({ message: `The cursor of ${named} is already further.` })
  return offset > link.tail ? new AckOffsetInvalid({ message: `The stream ${named} is not that long.` }) : undefined
}
