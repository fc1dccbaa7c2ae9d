/**
 * Cuts values out of the text of valid JSON by position, in one pass: so what was sent can be kept as it was sent
 * (promise 8). Because the text is known to be valid, quotes and brackets are all there is to look at.
 */

/** Where the value of the last member called `key` begins and ends in the text of a JSON object, which has one. */
export const memberRange = (text: string, key: string): readonly [start: number, end: number] => {
  let at = text.indexOf("{") + 1
  let found: readonly [start: number, end: number] = [0, 0]
  while (true) {
    at = skipSpace(text, at)
    if (text.charCodeAt(at) === 0x2c) {
      at++
      continue
    }
    if (text.charCodeAt(at) !== 0x22) return found
    const keyEnd = stringEnd(text, at)
    const name = text.slice(at + 1, keyEnd - 1)
    const valueStart = skipSpace(text, text.indexOf(":", keyEnd) + 1)
    const valueEnd = endOfValue(text, valueStart)
    if (name === key || (name.includes("\\") && JSON.parse(`"${name}"`) === key)) {
      found = [valueStart, valueEnd]
    }
    at = valueEnd
  }
}

/** Where each element of the text of a JSON array begins and ends, one after the other. */
export const elementRanges = (text: string): ReadonlyArray<number> => {
  const found: Array<number> = []
  let at = skipSpace(text, skipSpace(text, 0) + 1)
  while (text.charCodeAt(at) !== 0x5d) {
    const end = endOfValue(text, at)
    found.push(at, end)
    at = skipSpace(text, end)
    if (text.charCodeAt(at) === 0x2c) at = skipSpace(text, at + 1)
  }
  return found
}

const skipSpace = (text: string, from: number): number => {
  let at = from
  while (text.charCodeAt(at) <= 0x20) at++
  return at
}

/** Behind the closing quote of the string that begins at `from`. */
const stringEnd = (text: string, from: number): number => {
  let at = text.indexOf("\"", from + 1)
  while (isEscaped(text, at)) at = text.indexOf("\"", at + 1)
  return at + 1
}

const isEscaped = (text: string, at: number): boolean => {
  let back = at - 1
  while (text.charCodeAt(back) === 0x5c) back--
  return (at - back) % 2 === 0
}

const endOfValue = (text: string, from: number): number => {
  const first = text[from]
  if (first === "\"") return stringEnd(text, from)
  let at = from
  if (first === "{" || first === "[") {
    let depth = 0
    do {
      const code = text.charCodeAt(at)
      if (code === 0x22) {
        at = stringEnd(text, at)
        continue
      }
      if (code === 0x7b || code === 0x5b) depth++
      else if (code === 0x7d || code === 0x5d) depth--
      at++
    } while (depth > 0)
    return at
  }
  // A number or a word: it ends before a space, a comma or a closing bracket.
  while (at < text.length && !isEnd(text.charCodeAt(at))) at++
  return at
}

const isEnd = (code: number): boolean => code <= 0x20 || code === 0x2c || code === 0x7d || code === 0x5d
