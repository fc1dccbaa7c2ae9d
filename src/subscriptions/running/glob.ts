/**
 * Which streams a pattern means: `*` is any one segment between slashes, `**` is any number of them, none included, and
 * every other segment stands for itself.
 *
 * The segments before the first `**` are compared with the beginning of a name and those behind the last one with its end,
 * the last segment first: most names differ there at once. A run of segments between two `**` is looked for from left to
 * right, and the first place is as good as any. So a name costs at most as many comparisons as there are places for a run
 * times its length: 65,536 for the longest pattern and the longest name there can be, and a handful for those that people
 * write.
 */

/** The longest pattern, in UTF-16 units: as long as a stream's name can be. */
export const patternLengthMax = 512

/** What is wrong with a pattern, as a sentence; undefined when it is a good one. */
export const patternFault = (pattern: string): string | undefined => {
  if (pattern.length === 0) return "The pattern is empty."
  if (pattern.length > patternLengthMax) return `The pattern is longer than ${patternLengthMax} characters.`
  const half = pattern.split("/").find((segment) => segment.includes("*") && segment !== "*" && segment !== "**")
  // Taken literally it would match nothing, and nobody would be told.
  return half === undefined
    ? undefined
    : `In a pattern, * and ** stand for whole segments between slashes, not for a part of ${JSON.stringify(half)}.`
}

/** Counts comparisons of segments, for those who give others a turn after so many. */
export interface Effort {
  steps: number
}

export interface Glob {
  /** The first and the last segment of every name that it means; undefined if those can be any. */
  readonly first: string | undefined
  readonly last: string | undefined
  /** Whether it means the name of these segments. */
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

/** Whether the run fits there. Compares the last segment of it one first: names of one kind differ at their ends. */
const fits = (run: ReadonlyArray<string>, segments: ReadonlyArray<string>, at: number, effort: Effort): boolean => {
  let i = run.length
  while (i > 0 && (run[i - 1] === segments[at + i - 1] || run[i - 1] === "*")) i--
  effort.steps += run.length - i + 1
  return i === 0
}
