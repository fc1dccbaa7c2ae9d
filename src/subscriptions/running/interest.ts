/**
 * The listeners that are interested in a stream, by its name or by a pattern. Every append of every stream asks for them, so
 * that is a look into a table, and costs nothing at all if there are no subscriptions.
 *
 * A new name is compared with the patterns. If these are many and of the worst kind, it is compared piece by piece, and
 * other fibers run in between; news of the name are kept meanwhile, and told as one. A request that must know all news
 * before it waits for `settled`.
 */
import { Effect } from "effect"
import { mergeNews, type News } from "../machine/wake-cycle.ts"
import { type Entry, GlobIndex, type Search } from "./glob-index.ts"

export interface Listener {
  tell(path: string, news: News): void
}

/** A name that is being compared with the patterns. */
interface Waiting<Who> {
  news: News
  search: Search<Who> | undefined
  /** Patterns that were added since the search began. */
  readonly missed: Array<Entry<Who>>
  readonly done: Array<() => void>
}

export class Interest<Who extends Listener> {
  readonly #paths = new Map<string, Set<Who>>()
  readonly #globs = new GlobIndex<Who>()
  /** The listeners whose patterns mean a name, until a pattern is added or removed. */
  readonly #known = new Map<string, ReadonlyArray<Who>>()
  /** In the order in which they came. */
  readonly #waiting = new Map<string, Waiting<Who>>()
  #last: Waiting<Who> | undefined
  #isSearching = false
  readonly #fork: (effect: Effect.Effect<void>) => unknown

  /** `fork` starts a fiber that ends with the server at the latest. */
  constructor(fork: (effect: Effect.Effect<void>) => unknown) {
    this.#fork = fork
  }

  addPath(path: string, who: Who): void {
    const there = this.#paths.get(path)
    if (there === undefined) this.#paths.set(path, new Set([who]))
    else there.add(who)
  }

  removePath(path: string, who: Who): void {
    const there = this.#paths.get(path)
    if (there?.delete(who) === true && there.size === 0) this.#paths.delete(path)
  }

  addGlob(pattern: string, who: Who): void {
    const added = this.#globs.add(pattern, who)
    this.#known.clear()
    if (added === undefined) return
    // Searches are done one after the other: only the first one has begun.
    for (const first of this.#waiting.values()) return void first.missed.push(added)
  }

  removeGlob(pattern: string, who: Who): void {
    this.#globs.remove(pattern, who)
    this.#known.clear()
  }

  /** Tells every listener that is interested, each at least once and in order. */
  tell(path: string, news: News): void {
    const waiting = this.#waiting.get(path)
    if (waiting !== undefined) return void (waiting.news = mergeNews(waiting.news, news))
    const known = this.#globs.size === 0 ? [] : this.#known.get(path)
    if (known !== undefined) return this.#spread(path, news, known)
    const search = this.#globs.search(path)
    // Names that wait have their turn first.
    if (this.#waiting.size === 0 && search.go(stepsAtOnce)) {
      return this.#spread(path, news, this.#learn(path, search.found))
    }
    this.#last = { news, search: this.#waiting.size === 0 ? search : undefined, missed: [], done: [] }
    this.#waiting.set(path, this.#last)
    if (!this.#isSearching) this.#fork(this.#goOn)
    this.#isSearching = true
  }

  /** Whether all news have arrived. */
  get isSettled(): boolean {
    return this.#waiting.size === 0
  }

  /** Waits until all news up to now have arrived. */
  readonly settled: Effect.Effect<void> = Effect.suspend(() => {
    const last = this.#last
    return this.isSettled || last === undefined
      ? Effect.void
      : Effect.callback<void>((resume) => void last.done.push(() => resume(Effect.void)))
  })

  /** Finds the listeners whose patterns mean the name, a piece at a time. */
  readonly findMeant = (path: string): Effect.Effect<ReadonlyArray<Who>> =>
    Effect.suspend(() => {
      const { found, go } = this.#globs.search(path)
      const all = Effect.sync(() => found.flatMap(({ who }) => [...who]))
      return go(stepsAtOnce) ? all : Effect.andThen(untilDone(go), all)
    })

  readonly #goOn = Effect.gen({ self: this }, function*() {
    for (const [path, waiting] of this.#waiting) {
      yield* Effect.yieldNow
      const { found, go } = waiting.search ??= this.#globs.search(path)
      yield* untilDone(go)
      const segments = path.split("/")
      found.push(...waiting.missed.filter(({ glob }) => glob.matches(segments, { steps: 0 })))
      this.#waiting.delete(path)
      this.#spread(path, waiting.news, this.#learn(path, found))
      waiting.done.forEach((done) => done())
    }
    this.#isSearching = false
  })

  #learn(path: string, found: ReadonlyArray<Entry<Who>>): ReadonlyArray<Who> {
    const who = [...new Set(found.flatMap(({ who }) => [...who]))]
    if (this.#known.size >= knownMax) this.#known.clear()
    this.#known.set(path, who)
    return who
  }

  #spread(path: string, news: News, meant: ReadonlyArray<Who>): void {
    this.#paths.get(path)?.forEach((who) => who.tell(path, news))
    meant.forEach((who) => who.tell(path, news))
  }
}

/** Lets other fibers run between two pieces. */
const untilDone = (go: Search<never>["go"]): Effect.Effect<void> =>
  Effect.suspend(() => go(stepsAtOnce) ? Effect.void : Effect.andThen(Effect.yieldNow, untilDone(go)))

/** More than the streams that are written to at a time; each takes a name and an array. */
const knownMax = 10_000

/** Comparisons of segments in one piece: less than a millisecond. */
const stepsAtOnce = 50_000
