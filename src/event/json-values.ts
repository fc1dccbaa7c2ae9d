/**
 * JSON texts as values whose keys are those of the text. `JSON.parse` takes a key with an escape in it for another one, when
 * an object of the same shape was made before whose key has a backslash in that place (nodejs/node#63785): what comes first
 * in a process decides what is read later. So a text with such a key is parsed with plain names in the place of all its keys.
 */

/** The value of JSON text, in a time that grows with its length; throws a `SyntaxError` when it is none. */
export const parseJson = (text: string): unknown => {
  const keys = text.includes("\\") ? keysOf(text) : undefined
  if (keys === undefined) return JSON.parse(text)
  /** Equal keys have one name, so that of two of them the last one counts, as it does for `JSON.parse`. */
  const names = new Map<string, string>()
  const parts: Array<string> = []
  let from = 0
  for (const [start, end] of keys) {
    // A string by itself is read rightly.
    const key = JSON.parse(text.slice(start, end)) as string
    let name = names.get(key)
    // Begins with a letter: objects put keys that are numbers first.
    if (name === undefined) names.set(key, name = `k${names.size}`)
    parts.push(text.slice(from, start), `"${name}"`)
    from = end
  }
  parts.push(text.slice(from))
  return renamed(JSON.parse(parts.join("")), new Map([...names].map(([key, name]) => [name, key])))
}

/**
 * Where the keys begin and end, quotes included; undefined when none of them has an escape. Text that is no JSON can have any
 * or none.
 */
const keysOf = (text: string): ReadonlyArray<readonly [start: number, end: number]> | undefined => {
  const found: Array<readonly [number, number]> = []
  let isAnyEscaped = false
  for (let start = text.indexOf("\""); start >= 0;) {
    let end = start + 1
    let isEscaped = false
    for (let code = text.charCodeAt(end); code !== quote && end < text.length; code = text.charCodeAt(++end)) {
      if (code !== backslash) continue
      isEscaped = true
      end++
    }
    end++
    if (isColonNext(text, end)) {
      found.push([start, end])
      isAnyEscaped ||= isEscaped
    }
    start = text.indexOf("\"", end)
  }
  return isAnyEscaped ? found : undefined
}

const quote = 0x22
const backslash = 0x5c

const isColonNext = (text: string, from: number): boolean => {
  let at = from
  while (text[at] === " " || text[at] === "\t" || text[at] === "\n" || text[at] === "\r") at++
  return text[at] === ":"
}

/** The value with its own keys; as deep as `JSON.parse` goes, so without recursion. */
const renamed = (value: unknown, keys: ReadonlyMap<string, string>): unknown => {
  const around: Array<unknown> = [value]
  const waiting: Array<Array<unknown> | Record<string, unknown>> = [around]
  for (let target = waiting.pop(); target !== undefined; target = waiting.pop()) {
    if (Array.isArray(target)) {
      for (let i = 0; i < target.length; i++) {
        const next = nextOf(target[i], keys)
        if (next === undefined) continue
        target[i] = next
        waiting.push(next)
      }
    } else {
      for (const key of Object.keys(target)) {
        const next = nextOf(target[key], keys)
        if (next === undefined) continue
        define(target, key, next)
        waiting.push(next)
      }
    }
  }
  return around[0]
}

/** An array as it is, an object with its own keys; undefined for what has nothing in it. */
const nextOf = (
  value: unknown,
  keys: ReadonlyMap<string, string>
): Array<unknown> | Record<string, unknown> | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  if (Array.isArray(value)) return value
  const to: Record<string, unknown> = {}
  for (const [name, inner] of Object.entries(value)) define(to, keys.get(name) ?? name, inner)
  return to
}

/** As `JSON.parse` does it: `__proto__` is a key like any other. */
const define = (target: Record<string, unknown>, key: string, value: unknown): void => {
  if (key !== "__proto__") target[key] = value
  else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
}
