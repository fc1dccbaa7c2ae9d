/**
 * The wake of a subscription, from news to lease to retry: what happens by itself. Every transition takes in the news
 * first, lets expire what has expired, does its own part (requests.ts), and then settles: pending work is always followed
 * by a wake, and a wake that nobody holds and nothing waits for is taken back.
 */
import { Result } from "effect"
import { fixedLimits } from "../../domain/limits.ts"
import type { Moment } from "./draft.ts"
import { Draft } from "./draft.ts"
import type { SubscriptionRefused } from "./refusals.ts"
import type { Link, Subscription } from "./subscription.ts"

/** What became of a stream. */
export interface News {
  /** The id of the life of the stream that this is about; undefined where there is no such stream. */
  readonly life: string | undefined
  /** False: it was deleted. */
  readonly exists: boolean
  /** The first offset that is its own, not its source's. */
  readonly begin: number
  readonly tail: number
  /** Lives of streams of that name that were over before this one, since news were last taken in. */
  readonly over?: ReadonlyArray<string>
  /** Whether it was read from the stream at a start: it counts, however little the stream has. */
  readonly found?: boolean
}

/** News of a stream after older ones that nobody has taken in: the newer ones, and which lives they leave behind. */
export const following = (older: News | undefined, newer: News): News => {
  if (older === undefined) return newer
  const over = older.life === undefined || older.life === newer.life
    ? older.over
    : [...older.over ?? [], older.life]
  return over === undefined ? newer : { ...newer, over }
}

/** What one transition does: decide on the draft, and answer. */
export type Act<A> = (draft: Draft) => Result.Result<A, SubscriptionRefused>

export interface Step<A> {
  readonly changes: Draft
  readonly outcome: Result.Result<A, SubscriptionRefused>
}

/** Takes the streams that a subscription reads, by their names: its pattern without its own wake stream. */
export type Matches = (path: string) => boolean

/** Comes before the news: links that they may already be about. */
export type Prepare = (draft: Draft) => void

/** What a transition takes in besides the news. */
export interface Besides {
  readonly prepare?: Prepare | undefined
  /** What deliveries came to. */
  readonly results?: ReadonlyArray<Act<void>>
  /** The wake that waits for its turn to be told: its lease has not begun. */
  readonly inLine?: string | undefined
  /** Whether this is the first transition since the server was started. */
  readonly started?: boolean
}

/** One transition. */
export const advance = <A>(
  state: Subscription,
  moment: Moment,
  matches: Matches,
  news: ReadonlyMap<string, News>,
  act: Act<A>,
  { inLine, prepare, results = [], started = false }: Besides = {}
): Step<A> => {
  const draft = new Draft(state, moment)
  prepare?.(draft)
  for (const [path, item] of news) absorb(draft, path, item, matches)
  if (inLine === undefined || inLine !== draft.wake?.id || draft.wake.delivered) expire(draft, started)
  if (started) resume(draft)
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
  if (path === draft.from.config.wakeStream) return item.exists ? undefined : wakeStreamGone(draft)
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

/** Whether it tells the end of what is linked, and not that of an earlier stream of the name. */
const isAbout = ({ life, over = [] }: News, link: Link): boolean =>
  life === undefined || link.life === undefined || life === link.life || over.includes(link.life)

/** The event that a worker was to find went with its stream: it is written again as soon as there is one. */
const wakeStreamGone = (draft: Draft): void => {
  if (draft.wake?.delivered !== true || draft.lease !== undefined) return
  draft.wake = { ...draft.wake, delivered: false }
  draft.retry = nextRetry(draft, 0)
}

/** The stream is gone, and so is what was processed of it. */
const beginAnew = (draft: Draft, path: string, link: Link): Link => {
  disown(draft, path)
  return { ...link, acked: 0, tail: 0, life: undefined }
}

/** A worker that was shown the stream as it was cannot mean what there is of it now. */
const disown = (draft: Draft, path: string): void => {
  const { lease, from: { config }, wake } = draft
  // Workers are shown the streams when they claim.
  if (wake !== undefined && (lease !== undefined || config.type === "webhook") && !wake.gone.includes(path)) {
    if (wake.gone.length < goneMax) draft.wake = { ...wake, gone: [...wake.gone, path] }
    else clearWake(draft)
  }
}

/** A wake that has seen more streams go is over: whoever holds it would rather see what there is now. */
const goneMax = 1_000

const expire = (draft: Draft, started: boolean): void => {
  const { from: { config }, lease, moment: { now }, retry, wake } = draft
  if (lease !== undefined && lease.until <= now) {
    const unheard = wake !== undefined && !wake.delivered
    clearWake(draft)
    // An endpoint that did not even answer is not asked faster than one that answers badly; unless it was us who left.
    if (unheard && !started) draft.retry = nextRetry(draft, retry?.count ?? 0)
    return
  }
  if (wake !== undefined && retry?.next !== undefined && retry.next <= now) {
    draft.retry = { count: retry.count, next: undefined }
    if (config.type === "webhook") draft.holdLease(undefined)
    draft.deliver = true
  }
}

/** Makes a wake where there is work, and takes back one that is not needed. */
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

/** Ends the wake: its token is worth nothing from now on. */
export const clearWake = (draft: Draft): void => {
  draft.wake = undefined
  draft.lease = undefined
  draft.retry = undefined
  draft.deliver = false
}

/** A webhook answered with success, or the wake event was written; `processed` are the tails that it is done with. */
export const delivered = (
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

/** Nobody could be told: again later. Whoever was told all the same, and has called back, is left alone. */
export const failed = (wakeId: string): Act<void> => (draft) => {
  if (draft.wake?.id === wakeId && !draft.wake.delivered) {
    draft.lease = undefined
    draft.retry = nextRetry(draft, draft.retry?.count ?? 0)
    draft.deliver = false
  }
  return Result.succeed(undefined)
}

/**
 * The wake stream has a wake of this generation already, or of a later one: our log lost its last commits, as after a
 * restored backup. Workers may have seen that one, so another is made, which is later than both.
 */
export const outpaced = (wakeId: string, generation: number): Act<void> => (draft) => {
  if (draft.wake?.id === wakeId && !draft.wake.delivered) {
    draft.generation = Math.max(draft.generation, generation)
    clearWake(draft)
  }
  return Result.succeed(undefined)
}

/**
 * After a start: a wake that nobody was told of, as far as is known, is told now. A wake event is written in any case where
 * no worker has come: the stream knows whether it has it (webhooks do not).
 */
const resume = (draft: Draft): void => {
  const { from: { config }, lease, retry, wake } = draft
  if (wake === undefined || retry?.next !== undefined) return
  if (config.type === "webhook" ? wake.delivered : lease !== undefined) return
  draft.deliver = true
  if (config.type === "webhook") draft.holdLease(undefined)
}

/** From one second, doubled each time, up to a minute; up to a fifth more or less, so that many do not come at once. */
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
