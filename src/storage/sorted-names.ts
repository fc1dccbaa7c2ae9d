/**
 * Names of streams, kept sorted by UTF-16 code units, so that a list costs about what it answers.
 */
import type { StreamName } from "../domain/types.ts"

/** Which names are wanted: all, unless a field excludes some. */
export interface NamesWanted {
  /** Only names that begin with this. */
  readonly prefix?: string | undefined
  /** No names that begin with this. */
  readonly without?: string | undefined
  /** Only names that sort after this. */
  readonly after?: string | undefined
  /** At most so many, the first ones. */
  readonly limit?: number | undefined
}

export class SortedNames {
  readonly #names: Array<StreamName>

  constructor(names: Iterable<StreamName> = []) {
    this.#names = [...names].toSorted()
  }

  add(name: StreamName): void {
    const at = this.#firstAt((other) => other >= name)
    if (this.#names[at] !== name) this.#names.splice(at, 0, name)
  }

  delete(name: StreamName): void {
    const at = this.#firstAt((other) => other >= name)
    if (this.#names[at] === name) this.#names.splice(at, 1)
  }

  list({ after, limit = Infinity, prefix = "", without }: NamesWanted = {}): ReadonlyArray<StreamName> {
    const [first, end] = this.#rangeOf(prefix)
    const start = after === undefined ? first : Math.max(first, this.#firstAt((name) => name > after))
    if (without === undefined) return this.#names.slice(start, Math.min(end, start + limit))
    const [gap, behind] = this.#rangeOf(without)
    const front = this.#names.slice(start, Math.max(start, Math.min(end, gap, start + limit)))
    const rest = Math.max(start, behind)
    return front.concat(this.#names.slice(rest, Math.max(rest, Math.min(end, rest + limit - front.length))))
  }

  /** Names that begin alike stand side by side. */
  #rangeOf(prefix: string): readonly [first: number, end: number] {
    const first = this.#firstAt((name) => name >= prefix)
    return [first, this.#firstAt((name) => name >= prefix && !name.startsWith(prefix))]
  }

  /** The first index at which `holds` is true; it is true at every index behind it. */
  #firstAt(holds: (name: StreamName) => boolean): number {
    let low = 0
    let high = this.#names.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (holds(this.#names[middle]!)) high = middle
      else low = middle + 1
    }
    return low
  }
}
