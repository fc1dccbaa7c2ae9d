/**
 * The next state of a subscription while a transition decides on it: the state as it was, and the changes so far. A read
 * sees both; the old state is not changed.
 */
import type { Changes, Lease, Link, Retry, Subscription, Wake } from "./subscription.ts"
import { isPending } from "./subscription.ts"

/** Time and chance for one transition, which is a pure function of these, the state and the news. */
export interface Moment {
  /** Milliseconds since 1970. */
  readonly now: number
  /** An id that no wake had before. */
  readonly wakeId: string
  /** From 0 to 1. */
  readonly chance: number
}

/** A stream that a start finds to be another than its cursor says. */
export interface Surprise {
  readonly path: string
  /** The link before. */
  readonly link: Link
  readonly what: "gone" | "another" | "shorter"
}

export class Draft implements Changes {
  readonly from: Subscription
  readonly moment: Moment
  readonly links = new Map<string, Link | undefined>()
  generation: number
  wake: Wake | undefined
  lease: Lease | undefined
  retry: Retry | undefined
  /** Whether the wake is delivered when the transition is durable. */
  deliver = false
  /** Streams that the pattern means and that exceed the limit. */
  readonly refused: Array<string> = []
  readonly surprises: Array<Surprise> = []
  #linkCount: number

  constructor(from: Subscription, moment: Moment) {
    this.from = from
    this.moment = moment
    this.generation = from.generation
    this.wake = from.wake
    this.lease = from.lease
    this.retry = from.retry
    this.#linkCount = from.links.size
  }

  get linkCount(): number {
    return this.#linkCount
  }

  link(path: string): Link | undefined {
    return this.links.has(path) ? this.links.get(path) : this.from.links.get(path)
  }

  setLink(path: string, link: Link | undefined): void {
    const before = this.link(path) === undefined ? 0 : 1
    this.#linkCount += (link === undefined ? 0 : 1) - before
    this.links.set(path, link)
  }

  /** The paths with something to read: first those that this transition changed, then the others. */
  *pending(): Generator<string> {
    for (const [path, link] of this.links) if (link !== undefined && isPending(link)) yield path
    for (const path of this.from.pending) if (!this.links.has(path)) yield path
  }

  get firstPending(): string | undefined {
    for (const path of this.pending()) return path
    return undefined
  }

  /** Every link, with its path. */
  *all(): Generator<readonly [string, Link]> {
    for (const [path, link] of this.links) if (link !== undefined) yield [path, link]
    for (const entry of this.from.links) if (!this.links.has(entry[0])) yield entry
  }

  /** Begins the lease of the webhook, or of the worker that holds it, from now on. */
  holdLease(holder: string | undefined): void {
    this.lease = { until: this.moment.now + this.from.config.leaseMillis, holder }
  }
}
