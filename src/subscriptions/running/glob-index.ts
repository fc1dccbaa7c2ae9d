/**
 * An index of patterns by the last or the first segment of the names that they mean: ten thousand patterns that differ there
 * cost a name one look. A search goes step by step, so that patterns of the worst kind are searched a piece at a time.
 */
import { type Effort, type Glob, parseGlob } from "./glob.ts"

/** A pattern and its users. */
export interface Entry<Who> {
  readonly glob: Glob
  readonly who: Set<Who>
}

export interface Search<Who> {
  /** Goes on for about so many comparisons of segments; returns true when all is found. */
  readonly go: (steps: number) => boolean
  readonly found: Array<Entry<Who>>
}

export class GlobIndex<Who> {
  readonly #entries = new Map<string, Entry<Who>>()
  readonly #byLast = new Map<string, Set<Entry<Who>>>()
  readonly #byFirst = new Map<string, Set<Entry<Who>>>()
  readonly #others = new Set<Entry<Who>>()

  get size(): number {
    return this.#entries.size
  }

  /** Adds a user of the pattern; returns the entry of a pattern that is new. */
  add(pattern: string, who: Who): Entry<Who> | undefined {
    const known = this.#entries.get(pattern)
    known?.who.add(who)
    if (known !== undefined) return undefined
    const entry = { glob: parseGlob(pattern), who: new Set([who]) }
    this.#entries.set(pattern, entry)
    this.#shelfOf(entry).add(entry)
    return entry
  }

  /** Removes a user of the pattern; returns whether the pattern has none any more. */
  remove(pattern: string, who: Who): boolean {
    const entry = this.#entries.get(pattern)
    if (entry?.who.delete(who) !== true || entry.who.size > 0) return false
    this.#entries.delete(pattern)
    this.#shelfOf(entry).delete(entry)
    return true
  }

  /** Begins a search; it may miss patterns that are added while it goes on. */
  search(path: string): Search<Who> {
    const segments = path.split("/")
    const shelves = [this.#byLast.get(segments.at(-1)!), this.#byFirst.get(segments[0]!), this.#others]
    const candidates = eachOf(shelves)
    const found: Array<Entry<Who>> = []
    const go = (steps: number) => {
      const effort: Effort = { steps: 0 }
      while (effort.steps < steps) {
        const next = candidates.next()
        if (next.done === true) return true
        // Each candidate costs a step, also one that needs no comparison.
        effort.steps++
        if (next.value.glob.matches(segments, effort)) found.push(next.value)
      }
      return false
    }
    return { found, go }
  }

  #shelfOf(entry: Entry<Who>): Set<Entry<Who>> {
    const { first, last } = entry.glob
    if (last !== undefined) return shelf(this.#byLast, last)
    return first === undefined ? this.#others : shelf(this.#byFirst, first)
  }
}

function* eachOf<A>(sets: ReadonlyArray<ReadonlySet<A> | undefined>): Generator<A, void> {
  for (const set of sets) if (set !== undefined) yield* set
}

const shelf = <A>(shelves: Map<string, Set<A>>, key: string): Set<A> => {
  const there = shelves.get(key) ?? new Set<A>()
  shelves.set(key, there)
  return there
}
