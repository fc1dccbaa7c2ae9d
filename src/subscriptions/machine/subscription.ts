/**
 * A subscription's state: which streams it reads and how far, which wake is in flight, who holds it, what is tried again
 * when. `apply` brings it up to date with what a transition decided, once that is durable.
 */

export interface Config {
  readonly type: "webhook" | "pull-wake"
  readonly pattern: string | undefined
  /** Sorted, each once: what the subscription was made with, not what it reads now. */
  readonly streams: ReadonlyArray<string>
  readonly webhookUrl: string | undefined
  readonly wakeStream: string | undefined
  readonly leaseMillis: number
  readonly description: string | undefined
}

/** One stream that the subscription reads. */
export interface Link {
  readonly glob: boolean
  readonly explicit: boolean
  /** The first offset that was not processed. */
  readonly acked: number
  /** The id of the stream's life that `acked` belongs to; undefined while there is no such stream. */
  readonly life: string | undefined
  /** The stream's tail as far as it is known. Not kept: it is the stream's to say. */
  readonly tail: number
}

export interface Wake {
  readonly id: string
  /** The stream that was waited for. */
  readonly stream: string
  /** Whether somebody has been told: the webhook answered, the wake event was written, or a worker came by itself. */
  readonly delivered: boolean
  /** Streams that were deleted since it was shown: what is acknowledged of them cannot mean those that follow. */
  readonly gone: ReadonlyArray<string>
}

export interface Lease {
  /** Milliseconds since 1970. */
  readonly until: number
  /** The worker's name; a webhook has none. */
  readonly holder: string | undefined
}

export interface Retry {
  /** Failures in a row. */
  readonly count: number
  /** When the next attempt is due, in milliseconds since 1970; undefined while one is under way. */
  readonly next: number | undefined
}

/** What changes all the time, apart from the links. */
export interface Progress {
  /** How many wakes there were; a wake's own number. */
  readonly generation: number
  readonly wake: Wake | undefined
  readonly lease: Lease | undefined
  readonly retry: Retry | undefined
}

export interface Subscription extends Progress {
  readonly id: string
  /** Tells this life of the id from every other one. */
  readonly life: string
  readonly createdAt: string
  readonly config: Config
  readonly links: ReadonlyMap<string, Link>
  /** The paths of links with something to read. */
  readonly pending: ReadonlySet<string>
}

/** What a transition decided. */
export interface Changes extends Progress {
  /** New links, changed ones, and undefined for those that are no more. */
  readonly links: ReadonlyMap<string, Link | undefined>
}

export const isPending = (link: Link): boolean => link.tail > link.acked

/** Whom the tokens of a subscription are for: another one of the same id is another subject. */
export const subjectOf = ({ id, life }: Subscription): string => `${life} ${id}`

/** A subscription that nothing has happened to yet. */
export const newSubscription = (
  id: string,
  life: string,
  createdAt: string,
  config: Config,
  links: ReadonlyMap<string, Link> = new Map(),
  progress: Progress = { generation: 0, wake: undefined, lease: undefined, retry: undefined }
): Subscription => ({
  id,
  life,
  createdAt,
  config,
  links,
  pending: new Set([...links].filter(([, link]) => isPending(link)).map(([path]) => path)),
  ...progress
})

/** The state after the changes. The links are changed in place: there may be thousands, and they have one owner. */
export const apply = (state: Subscription, changes: Changes): Subscription => {
  const links = state.links as Map<string, Link>
  const pending = state.pending as Set<string>
  for (const [path, link] of changes.links) {
    if (link === undefined) links.delete(path)
    else links.set(path, link)
    if (link !== undefined && isPending(link)) pending.add(path)
    else pending.delete(path)
  }
  const { generation, lease, retry, wake } = changes
  return { ...state, generation, wake, lease, retry }
}

/** When time alone changes something next, in milliseconds since 1970. */
export const deadline = ({ lease, retry }: Progress): number | undefined =>
  lease === undefined || (retry?.next ?? Infinity) < lease.until ? retry?.next : lease.until
