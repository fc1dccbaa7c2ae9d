/**
 * News of the streams of one subscription, kept until a transition takes them in. At a start it also takes the news that the
 * subscription missed, and prefers those that a stream's writer has told since.
 */
import type { News } from "../machine/wake-cycle.ts"
import { mergeNews } from "../machine/wake-cycle.ts"

export class NewsInbox {
  readonly #news = new Map<string, News>()
  /** The streams whose writers have told something since the start; undefined when the catch-up is over. */
  #toldSinceStart: Set<string> | undefined = new Set()

  /** Keeps news from a stream's writer. */
  add(path: string, news: News): void {
    this.#toldSinceStart?.add(path)
    this.#news.set(path, mergeNews(this.#news.get(path), news))
  }

  /** Keeps news that the catch-up found, unless the stream's writer has told any since: those are newer. */
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
      this.#news.set(path, newer === undefined ? item : mergeNews(item, newer))
    }
  }
}
