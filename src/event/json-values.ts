/**
 * JSON texts as values whose keys are those of the text. `JSON.parse` mistakes a key with an escape for another one, when
 * the process has made an object of the same shape whose key has a backslash in that place (nodejs/node#63785). So a text
 * with such a key is parsed with plain names in place of all its keys.
 */

/** Returns the value of JSON text in linear time; throws a `SyntaxError` when the text is not JSON. */
export const parseJson = (text: string): unknown => {
  const keys = text.includes("\\") ? keysOf(text) : undefined
  if (keys === undefined) return JSON.parse(text)
  /** Equal keys have one name, so that of two of them the last one counts, as it does for `JSON.parse`. */
  const names = new Map<string, string>()
  const parts: Array<string> = []
  let from = 0
  for (const [start, end] of keys) {
    // `JSON.parse` reads a string by itself correctly.
    const key = JSON.parse(text.slice(start, end)) as string
    let name = names.get(key)
    // The name begins with a letter: objects put keys that are numbers first.
    if (name === undefined) names.set(key, name = `k${names.size}`)
    parts.push(text.slice(from, start), `"${name}"`)
    from = end
  }
  parts.push(text.slice(from))
  return restoreKeys(JSON.parse(parts.join("")), new Map([...names].map(([key, name]) => [name, key])))
}

/**
 * Returns the start and end of each key, quotes included; undefined when no key has an escape. For text that is not JSON
 * the result means nothing.
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

/** Gives a value its own keys back. It goes as deep as `JSON.parse` does, so it uses no recursion. */
const restoreKeys = (value: unknown, keys: ReadonlyMap<string, string>): unknown => {
  const around: Array<unknown> = [value]
  const waiting: Array<Array<unknown> | Record<string, unknown>> = [around]
  for (let target = waiting.pop(); target !== undefined; target = waiting.pop()) {
    if (Array.isArray(target)) {
      for (let i = 0; i < target.length; i++) {
        const next = withOwnKeys(target[i], keys)
        if (next === undefined) continue
        target[i] = next
        waiting.push(next)
      }
    } else {
      for (const key of Object.keys(target)) {
        const next = withOwnKeys(target[key], keys)
        if (next === undefined) continue
        define(target, key, next)
        waiting.push(next)
      }
    }
  }
  return around[0]
}

/** Returns an array as it is, and an object with its own keys; undefined for a value that has no parts. */
const withOwnKeys = (
  value: unknown,
  keys: ReadonlyMap<string, string>
): Array<unknown> | Record<string, unknown> | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  if (Array.isArray(value)) return value
  const to: Record<string, unknown> = {}
  for (const [name, inner] of Object.entries(value)) define(to, keys.get(name) ?? name, inner)
  return to
}

/** Defines a key as `JSON.parse` does: `__proto__` is a key like any other. */
const define = (target: Record<string, unknown>, key: string, value: unknown): void => {
  if (key !== "__proto__") target[key] = value
  else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
}
