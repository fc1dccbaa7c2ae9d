/**
 * Patterns of stream names: `*` is any one segment between slashes, `**` is any number of segments or none, and every other
 * segment stands for itself.
 *
 * The segments before the first `**` are compared with the beginning of a name, and those behind the last one with its end,
 * the last segment first: most names differ there at once. A run of segments between two `**` is searched from left to
 * right; the first place is as good as any. So a name costs at most the number of places for a run times its length:
 * 65,536 comparisons for the longest pattern and the longest name, and a handful for usual ones.
 */

/** The longest pattern, in UTF-16 units: as long as a stream's name can be. */
export const patternLengthMax = 512

/** The fault of a pattern, as a sentence; undefined if it has none. */
export const patternFault = (pattern: string): string | undefined => {
  if (pattern.length === 0) return "The pattern is empty."
  if (pattern.length > patternLengthMax) return `The pattern is longer than ${patternLengthMax} characters.`
  const half = pattern.split("/").find((segment) => segment.includes("*") && segment !== "*" && segment !== "**")
  // As a literal segment it would mean no stream, and its subscription would never wake.
  return half === undefined
    ? undefined
    : `In a pattern, * and ** stand for whole segments between slashes, not for a part of ${JSON.stringify(half)}.`
}

/** Counts comparisons of segments: after so many, a search lets other fibers run. */
export interface Effort {
  steps: number
}

export interface Glob {
  /** The first and the last segment of every name that it means; undefined if any segment may stand there. */
  readonly first: string | undefined
  readonly last: string | undefined
  /** Whether it means the name that has these segments. */
  readonly matches: (segments: ReadonlyArray<string>, effort: Effort) => boolean
}

export const parseGlob = (pattern: string): Glob => {
  const wanted = pattern.split("/")
  const runs = cutAt(wanted, "**")
  const [head = [], ...others] = runs
  const tail = others.pop()
  const fixed = runs.reduce((length, run) => length + run.length, 0)
  return {
    first: literal(wanted[0]),
    last: literal(wanted.at(-1)),
    matches: (segments, effort) => {
      if (tail === undefined ? segments.length !== fixed : segments.length < fixed) return false
      const end = segments.length - (tail?.length ?? 0)
      if (tail !== undefined && !fits(tail, segments, end, effort)) return false
      if (!fits(head, segments, 0, effort)) return false
      let from = head.length
      for (const run of others) {
        while (from + run.length <= end && !fits(run, segments, from, effort)) from++
        if (from + run.length > end) return false
        from += run.length
      }
      return true
    }
  }
}

/** The pattern as a test of stream names. */
export const compileGlob = (pattern: string): (path: string) => boolean => {
  const { matches } = parseGlob(pattern)
  return (path) => matches(path.split("/"), { steps: 0 })
}

const literal = (segment: string | undefined) => segment === "*" || segment === "**" ? undefined : segment

/** The pieces between separators, as `split` gives them. */
const cutAt = (segments: ReadonlyArray<string>, separator: string): Array<ReadonlyArray<string>> => {
  const pieces: Array<Array<string>> = [[]]
  for (const segment of segments) {
    if (segment === separator) pieces.push([])
    else pieces.at(-1)!.push(segment)
  }
  return pieces
}

/** Whether the run fits there. It compares the last segment first: names of one kind differ at their ends. */
const fits = (run: ReadonlyArray<string>, segments: ReadonlyArray<string>, at: number, effort: Effort): boolean => {
  let i = run.length
  while (i > 0 && (run[i - 1] === segments[at + i - 1] || run[i - 1] === "*")) i--
  effort.steps += run.length - i + 1
  return i === 0
}
