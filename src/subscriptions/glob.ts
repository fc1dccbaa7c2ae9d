/**
 * Which streams a pattern means: `*` is any one segment between slashes, `**` is any number of them, none included, and
 * every other segment stands for itself. Time is at most the product of the two lengths in segments: only the last `**`
 * is ever tried again.
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

/** The pattern as a test of stream names. */
export const compileGlob = (pattern: string): (path: string) => boolean => {
  const wanted = pattern.split("/")
  // Most names have nothing to do with most patterns, and differ from the first letter on.
  const stars = wanted.findIndex((segment) => segment === "*" || segment === "**")
  const lead = (stars < 0 ? wanted : wanted.slice(0, stars)).join("/")
  return (path) => path.startsWith(lead) && matches(wanted, path.split("/"))
}

const matches = (wanted: ReadonlyArray<string>, given: ReadonlyArray<string>): boolean => {
  let w = 0
  let g = 0
  // The last `**`, and how much it has taken so far.
  let star = -1
  let taken = 0
  while (g < given.length) {
    if (w < wanted.length && wanted[w] === "**") {
      star = w++
      taken = g
    } else if (w < wanted.length && (wanted[w] === "*" || wanted[w] === given[g])) {
      w++
      g++
    } else if (star >= 0) {
      w = star + 1
      g = ++taken
    } else {
      return false
    }
  }
  while (wanted[w] === "**") w++
  return w === wanted.length
}
