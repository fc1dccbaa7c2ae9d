/**
 * The wake of a subscription, from news to lease to retry, as far as no request drives it. Every transition takes in the
 * news first, ends a lease that has expired, does its own part (transitions.ts), and then settles: pending work always has
 * a wake, and a wake without a holder and without pending work is taken back.
 */
import { Result } from "effect"
import { fixedLimits } from "../../domain/limits.ts"
import type { SubscriptionRefused } from "./refusals.ts"
import type { Link, Subscription } from "./subscription.ts"
import type { Moment } from "./transition-draft.ts"
import { Draft } from "./transition-draft.ts"

/** The news of one stream: it was made, has grown, or was deleted. */
export interface News {
  /** The id of the stream that the news are about, among all of its name; undefined if there is no such stream. */
  readonly life: string | undefined
  /** False: it was deleted. */
  readonly exists: boolean
  /** The first offset of its own events; before it are those of a fork's source. */
  readonly begin: number
  readonly tail: number
  /** The ids of streams of this name that ended before this one, since a transition last took in news. */
  readonly over?: ReadonlyArray<string>
  /** Whether a start read them from the stream itself: they count, even if the stream has less than its cursor says. */
  readonly found?: boolean
}

/** Older news that no transition took in, and newer ones, as one: the newer ones, with the ids of the streams that ended. */
export const mergeNews = (older: News | undefined, newer: News): News => {
  if (older === undefined) return newer
  const over = older.life === undefined || older.life === newer.life
    ? older.over
    : [...older.over ?? [], older.life]
  return over === undefined ? newer : { ...newer, over }
}

/** The own part of one transition: it changes the draft and returns the answer. */
export type Act<A> = (draft: Draft) => Result.Result<A, SubscriptionRefused>

export interface Step<A> {
  readonly changes: Draft
  readonly outcome: Result.Result<A, SubscriptionRefused>
}

/** Whether the pattern of a subscription means the name; it never means the own wake stream. */
export type Matches = (path: string) => boolean

/** Makes links before the news are taken in: they may be about these streams. */
export type Prepare = (draft: Draft) => void

/** Further inputs of a transition. */
export interface Besides {
  readonly prepare?: Prepare | undefined
  /** The results of deliveries. */
  readonly results?: ReadonlyArray<Act<void>>
  /** The id of the wake whose webhook waits in the queue: its lease has not begun. */
  readonly queuedWake?: string | undefined
  /** Whether this is the first transition since the server was started. */
  readonly isFirst?: boolean
}

/** One transition. */
export const advance = <A>(
  state: Subscription,
  moment: Moment,
  matches: Matches,
  news: ReadonlyMap<string, News>,
  act: Act<A>,
  { isFirst = false, prepare, queuedWake, results = [] }: Besides = {}
): Step<A> => {
  const draft = new Draft(state, moment)
  prepare?.(draft)
  for (const [path, item] of news) absorb(draft, path, item, matches)
  if (queuedWake === undefined || queuedWake !== draft.wake?.id || draft.wake.delivered) expire(draft, isFirst)
  if (isFirst) resume(draft)
  for (const result of results) {
    result(draft)
    settle(draft)
  }
  const outcome = act(draft)
  settle(draft)
  return { changes: draft, outcome }
}

/** A transition without a request. */
export const onlyNews: Act<void> = () => Result.succeed(undefined)

const absorb = (draft: Draft, path: string, item: News, matches: Matches): void => {
  if (path === draft.from.config.wakeStream) return item.exists ? undefined : forgetWakeEvent(draft)
  const link = draft.link(path)
  if (!item.exists) {
    if (link === undefined || !isAbout(item, link)) return
    if (item.found && link.life !== undefined) draft.surprises.push({ path, link, what: "gone" })
    const anew = beginAnew(draft, path, link)
    return draft.setLink(path, link.explicit ? anew : undefined)
  }
  if (link === undefined) {
    if (!matches(path)) return
    if (draft.linkCount >= fixedLimits.linksMax) return void draft.refused.push(path)
    const { begin, life, tail } = item
    return draft.setLink(path, { glob: true, explicit: false, acked: begin, life, tail })
  }
  const isSame = link.life === undefined || link.life === item.life
  if (item.found && !isSame) draft.surprises.push({ path, link, what: "another" })
  if (item.found && link.life === item.life && item.tail < link.acked) {
    draft.surprises.push({ path, link, what: "shorter" })
    disown(draft, path)
    return draft.setLink(path, { ...link, acked: item.tail, tail: item.tail })
  }
  const known = isSame ? link : beginAnew(draft, path, link)
  draft.setLink(path, {
    ...known,
    acked: known.life === undefined ? item.begin : known.acked,
    life: item.life,
    tail: known.life === undefined ? item.tail : Math.max(known.tail, item.tail)
  })
}

/** Whether the news are the end of the linked stream, and not of an earlier one of its name. */
const isAbout = ({ life, over = [] }: News, link: Link): boolean =>
  life === undefined || link.life === undefined || life === link.life || over.includes(link.life)

/** The wake event went with its stream: it is written again as soon as there is a new one. */
const forgetWakeEvent = (draft: Draft): void => {
  if (draft.wake?.delivered !== true || draft.lease !== undefined) return
  draft.wake = { ...draft.wake, delivered: false }
  draft.retry = nextRetry(draft, 0)
}

/** The link as it begins for the next stream of its name. */
const beginAnew = (draft: Draft, path: string, link: Link): Link => {
  disown(draft, path)
  return { ...link, acked: 0, tail: 0, life: undefined }
}

/** Refuses later acknowledgements of the stream: the worker saw it as it was, and cannot mean it as it is now. */
const disown = (draft: Draft, path: string): void => {
  const { lease, from: { config }, wake } = draft
  // Workers are shown the streams when they claim.
  if (wake !== undefined && (lease !== undefined || config.type === "webhook") && !wake.gone.includes(path)) {
    if (wake.gone.length < goneMax) draft.wake = { ...wake, gone: [...wake.gone, path] }
    else clearWake(draft)
  }
}

/** A wake that outlives more streams is over: the next one shows its holder the streams that there are. */
const goneMax = 1_000

const expire = (draft: Draft, isFirst: boolean): void => {
  const { from: { config }, lease, moment: { now }, retry, wake } = draft
  if (lease !== undefined && lease.until <= now) {
    const unheard = wake !== undefined && !wake.delivered
    clearWake(draft)
    // An endpoint that did not answer is called no sooner than one that refuses; but if the server left, it is called at once.
    if (unheard && !isFirst) draft.retry = nextRetry(draft, retry?.count ?? 0)
    return
  }
  if (wake !== undefined && retry?.next !== undefined && retry.next <= now) {
    draft.retry = { count: retry.count, next: undefined }
    if (config.type === "webhook") draft.holdLease(undefined)
    draft.deliver = true
  }
}

/** Makes a wake if there is pending work, and takes back one that is not needed. */
export const settle = (draft: Draft): void => {
  const stream = draft.firstPending
  if (stream === undefined) {
    if (draft.wake !== undefined && draft.lease === undefined) clearWake(draft)
    if (draft.wake === undefined) draft.retry = undefined
    return
  }
  if (draft.wake === undefined) makeWake(draft, stream)
}

const makeWake = (draft: Draft, stream: string): void => {
  draft.generation++
  draft.wake = { id: draft.moment.wakeId, stream, delivered: false, gone: [] }
  if (draft.retry?.next !== undefined) return
  draft.deliver = true
  if (draft.from.config.type === "webhook") draft.holdLease(undefined)
}

/** Ends the wake; its token is worth nothing from now on. */
export const clearWake = (draft: Draft): void => {
  draft.wake = undefined
  draft.lease = undefined
  draft.retry = undefined
  draft.deliver = false
}

/** The webhook answered with success, or the wake event is written; `processed` are the tails that the webhook is done with. */
export const recordDelivery = (
  wakeId: string,
  processed: ReadonlyMap<string, number> | undefined
): Act<void> =>
(draft) => {
  const { wake } = draft
  if (wake?.id !== wakeId) return Result.succeed(undefined)
  draft.retry = undefined
  draft.wake = { ...wake, delivered: true }
  if (processed !== undefined) {
    for (const [path, tail] of processed) {
      const link = draft.link(path)
      if (link === undefined || wake.gone.includes(path) || tail <= link.acked) continue
      draft.setLink(path, { ...link, acked: tail })
    }
    clearWake(draft)
  }
  return Result.succeed(undefined)
}

/** The delivery failed and is tried again later, unless the webhook got it all the same and has called back. */
export const recordFailure = (wakeId: string): Act<void> => (draft) => {
  if (draft.wake?.id === wakeId && !draft.wake.delivered) {
    draft.lease = undefined
    draft.retry = nextRetry(draft, draft.retry?.count ?? 0)
    draft.deliver = false
  }
  return Result.succeed(undefined)
}

/**
 * The wake stream already has a wake of this generation or of a later one: the log of the subscription lost its last
 * commits, as after a restored backup. Workers may have seen that wake, so the next one is later than both.
 */
export const recordLaterWake = (wakeId: string, generation: number): Act<void> => (draft) => {
  if (draft.wake?.id === wakeId && !draft.wake.delivered) {
    draft.generation = Math.max(draft.generation, generation)
    clearWake(draft)
  }
  return Result.succeed(undefined)
}

/**
 * After a start, a wake is delivered now if no delivery of it is known. A wake event is written in any case if no worker has
 * claimed: the stream knows whether it has the event already, and a webhook does not.
 */
const resume = (draft: Draft): void => {
  const { from: { config }, lease, retry, wake } = draft
  if (wake === undefined || retry?.next !== undefined) return
  if (config.type === "webhook" ? wake.delivered : lease !== undefined) return
  draft.deliver = true
  if (config.type === "webhook") draft.holdLease(undefined)
}

/** One second, doubled each time, up to a minute; a fifth more or less, so that many retries do not come at once. */
const nextRetry = ({ moment: { chance, now } }: Draft, failures: number) => {
  const delay = Math.min(retryMillisMax, retryMillisMin * 2 ** Math.min(failures, 10))
  return {
    count: failures + 1,
    next: now + Math.min(retryMillisMax, Math.round(delay * (1 + retryJitter * (2 * chance - 1))))
  }
}

const retryMillisMin = 1_000
export const retryMillisMax = 60_000
const retryJitter = 0.2
