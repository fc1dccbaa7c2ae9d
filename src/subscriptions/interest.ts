/**
 * Who is interested in which stream: by name, or by a pattern. Asked at every append of every stream, so it is a look into
 * a table, and nothing at all where there are no subscriptions.
 */
import { compileGlob } from "./glob.ts"

export class Interest<Who> {
  readonly #paths = new Map<string, Set<Who>>()
  readonly #globs = new Map<string, { readonly matches: (path: string) => boolean; readonly who: Set<Who> }>()
  /** What the patterns said of a name, until they change. */
  readonly #known = new Map<string, ReadonlyArray<Who>>()

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
    const glob = this.#globs.get(pattern) ?? { matches: compileGlob(pattern), who: new Set() }
    glob.who.add(who)
    this.#globs.set(pattern, glob)
    this.#known.clear()
  }

  removeGlob(pattern: string, who: Who): void {
    const glob = this.#globs.get(pattern)
    if (glob === undefined) return
    glob.who.delete(who)
    if (glob.who.size === 0) this.#globs.delete(pattern)
    this.#known.clear()
  }

  /** Tells everybody who is interested, each at least once. */
  forEach(path: string, tell: (who: Who) => void): void {
    this.#paths.get(path)?.forEach(tell)
    if (this.#globs.size > 0) this.#byGlob(path).forEach(tell)
  }

  #byGlob(path: string): ReadonlyArray<Who> {
    const known = this.#known.get(path)
    if (known !== undefined) return known
    const found = [...this.#globs.values()].filter(({ matches }) => matches(path)).flatMap(({ who }) => [...who])
    if (this.#known.size >= knownMax) this.#known.clear()
    this.#known.set(path, found)
    return found
  }
}

/** About the streams that are written to at a time; a name and an array each. */
const knownMax = 10_000
