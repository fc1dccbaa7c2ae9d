/**
 * The state of a subscription: the streams that it reads with a cursor in each, the wake in flight, its lease, and its
 * retries. `apply` adds the changes of a transition when they are durable.
 */

export interface Config {
  readonly type: "webhook" | "pull-wake"
  readonly pattern: string | undefined
  /** The names in the request that made it, sorted, each once. The links tell which streams it reads now. */
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
  /** The first offset that is not processed. */
  readonly acked: number
  /** The id of the stream's life that `acked` belongs to; undefined while there is no such stream. */
  readonly life: string | undefined
  /** The newest tail of the stream that the subscription heard of. It is not stored: the stream has it. */
  readonly tail: number
}

export interface Wake {
  readonly id: string
  /** The stream whose news made the wake. */
  readonly stream: string
  /** Whether the wake arrived: the webhook answered, the wake event is written, or a worker claimed without it. */
  readonly delivered: boolean
  /** Streams that were deleted since the wake showed them: an acknowledgement cannot mean the ones that follow. */
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

/** The part of the state, besides the links, that transitions change. */
export interface Progress {
  /** The number of wakes so far, which is also the number of the newest one. */
  readonly generation: number
  readonly wake: Wake | undefined
  readonly lease: Lease | undefined
  readonly retry: Retry | undefined
}

export interface Subscription extends Progress {
  readonly id: string
  /** Tells this subscription from every other one of its id. */
  readonly life: string
  readonly createdAt: string
  readonly config: Config
  readonly links: ReadonlyMap<string, Link>
  /** The paths of links with something to read. */
  readonly pending: ReadonlySet<string>
}

/** The changes that a transition decided on. */
export interface Changes extends Progress {
  /** The new and the changed links; undefined for a link that ended. */
  readonly links: ReadonlyMap<string, Link | undefined>
}

export const isPending = (link: Link): boolean => link.tail > link.acked

/** The subject of a subscription's tokens; another subscription of the same id is another subject. */
export const subjectOf = ({ id, life }: Subscription): string => `${life} ${id}`

/** A subscription as a request makes it, or as its log holds it. */
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

/** The state after the changes. It changes the links in place: there may be thousands, and they have one owner. */
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

/** The next moment at which time alone changes the state, in milliseconds since 1970. */
export const deadline = ({ lease, retry }: Progress): number | undefined =>
  lease === undefined || (retry?.next ?? Infinity) < lease.until ? retry?.next : lease.until
