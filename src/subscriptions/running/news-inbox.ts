/**
 * News of the streams of one subscription, kept until a transition takes them in. At a start it also takes the news that the
 * subscription missed, and prefers those that a stream's writer has told since.
 */
import type { News } from "../machine/wake-cycle.ts"
import { following } from "../machine/wake-cycle.ts"

export class NewsInbox {
  readonly #news = new Map<string, News>()
  /** The streams whose writers have told something since the start; undefined when the catch-up is over. */
  #toldSinceStart: Set<string> | undefined = new Set()

  /** Keeps what a stream's writer tells. */
  add(path: string, news: News): void {
    this.#toldSinceStart?.add(path)
    this.#news.set(path, following(this.#news.get(path), news))
  }

  /** Keeps what the catch-up found of a stream, unless its writer has told anything since: that is newer. */
  addMissed(path: string, news: News): void {
    if (this.#toldSinceStart?.has(path) === false) this.#news.set(path, { ...news, found: true })
  }

  /** Ends the catch-up: nothing was missed any more. */
  endCatchUp(): void {
    this.#toldSinceStart = undefined
  }

  /** Empties the inbox. */
  takeAll(): ReadonlyMap<string, News> {
    const news = new Map(this.#news)
    this.#news.clear()
    return news
  }

  /** Takes back news whose transition failed; those that came meanwhile are newer. */
  putBack(news: ReadonlyMap<string, News>): void {
    for (const [path, item] of news) {
      const newer = this.#news.get(path)
      this.#news.set(path, newer === undefined ? item : following(item, newer))
    }
  }
}
