/**
 * Names of streams, sorted by UTF-16 code units and kept so: what is asked for of them costs what is answered.
 */
import type { StreamName } from "../domain/types.ts"

/** Which names are meant: all, but for what is said here. */
export interface NamesWanted {
  /** Only names that begin with this. */
  readonly prefix?: string | undefined
  /** No names that begin with this. */
  readonly without?: string | undefined
  /** Only names that sort behind this. */
  readonly after?: string | undefined
  /** The first so many. */
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

  /** The first name for which it holds, as it does for all behind that one. */
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
