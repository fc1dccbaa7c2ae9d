/**
 * JSON texts as values whose keys are those of the text. `JSON.parse` takes a key with an escape in it for another one, where
 * an object of the same shape was made before whose key has a backslash in that place (nodejs/node#63785): what comes first
 * in a process decides what is read later. So texts with such keys are parsed with others in their place.
 */

/** The value of JSON text; throws a `SyntaxError` when it is none. */
export const parseJson = (text: string): unknown => {
  if (!text.includes("\\")) return JSON.parse(text)
  const keys = escapedKeys(text)
  if (keys.length === 0) return JSON.parse(text)
  const mark = markFor(text)
  const names = new Map<string, string>()
  let plain = ""
  let from = 0
  for (const [start, end] of keys) {
    const name = `${mark}${names.size}`
    // A string by itself is read rightly.
    names.set(name, JSON.parse(text.slice(start, end)) as string)
    plain += `${text.slice(from, start)}"${name}"`
    from = end
  }
  return renamed(JSON.parse(plain + text.slice(from)), names)
}

/** Where the keys that have an escape begin and end, quotes included. Text that is no JSON can have any or none. */
const escapedKeys = (text: string): ReadonlyArray<readonly [start: number, end: number]> => {
  const found: Array<readonly [number, number]> = []
  for (let start = text.indexOf("\""); start >= 0;) {
    let end = start + 1
    let isEscaped = false
    for (; end < text.length && text[end] !== "\""; end++) {
      if (text[end] !== "\\") continue
      isEscaped = true
      end++
    }
    end++
    if (isEscaped && isColonNext(text, end)) found.push([start, end])
    start = text.indexOf("\"", end)
  }
  return found
}

const isColonNext = (text: string, from: number): boolean => {
  let at = from
  while (text[at] === " " || text[at] === "\t" || text[at] === "\n" || text[at] === "\r") at++
  return text[at] === ":"
}

/** What no key of the text begins with: characters of no meaning, one more than the text has in a row. */
const markFor = (text: string): string => {
  let mark = "\ue000"
  while (text.includes(mark)) mark += "\ue000"
  return mark
}

/** The value with its right keys, which stand where the others stood; as deep as `JSON.parse` goes, so without recursion. */
const renamed = (value: unknown, names: ReadonlyMap<string, string>): unknown => {
  const around: Record<string, unknown> = { value }
  const waiting: Array<Record<string, unknown>> = [around]
  for (let target = waiting.pop(); target !== undefined; target = waiting.pop()) {
    for (const [key, inner] of Object.entries(target)) {
      if (typeof inner !== "object" || inner === null) continue
      const next = Array.isArray(inner) || !Object.keys(inner).some((key) => names.has(key))
        ? inner
        : withNames(inner, names)
      if (next !== inner) define(target, key, next)
      waiting.push(next as Record<string, unknown>)
    }
  }
  return around["value"]
}

const withNames = (from: object, names: ReadonlyMap<string, string>): object => {
  const to = {}
  for (const [key, value] of Object.entries(from)) define(to, names.get(key) ?? key, value)
  return to
}

/** As `JSON.parse` does it: `__proto__` is a key like any other. */
const define = (target: object, key: string, value: unknown): void => {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
}
