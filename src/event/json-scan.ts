/**
 * Finds the start and end of JSON values in bytes, and checks them (RFC 8259), without making values: the server keeps the
 * text as the writer sent it (promise 8), and would throw a parsed value away. It accepts exactly the texts that
 * `JSON.parse` does; a property test holds it to that. The caller must check that the bytes are UTF-8.
 */

/**
 * Returns the end of the value that begins at `from`, or behind space there. If there is no value: `-1 - at`, for the first
 * byte `at` that cannot be part of one.
 */
export const valueEnd = (bytes: Uint8Array, from: number): number => {
  let depth = 0
  for (let at = from;;) {
    at = skipSpace(bytes, at)
    if (at >= bytes.length) return -1 - at
    const first = bytes[at]
    if (first === quote) {
      at = stringEnd(bytes, at)
    } else if (first === openBrace || first === openBracket) {
      const isObject = first === openBrace
      at = skipSpace(bytes, at + 1)
      if (at >= bytes.length) return -1 - at
      if (bytes[at] === (isObject ? closeBrace : closeBracket)) {
        at++
      } else {
        if (depth === open.length) open = grow(open)
        open[depth++] = isObject ? 1 : 0
        if (isObject) at = keyEnd(bytes, at)
        if (at < 0) return at
        continue
      }
    } else {
      at = scalarEnd(bytes, at)
    }
    if (at < 0) return at
    // Behind a value: the next one, or the ends of the arrays and objects around it.
    for (;; at++) {
      if (depth === 0) return at
      at = skipSpace(bytes, at)
      if (at >= bytes.length) return -1 - at
      const isObject = open[depth - 1] === 1
      if (bytes[at] === comma) {
        at++
        if (isObject) at = keyEnd(bytes, skipSpace(bytes, at))
        if (at < 0) return at
        break
      }
      if (bytes[at] !== (isObject ? closeBrace : closeBracket)) return -1 - at
      depth--
    }
  }
}

/**
 * Returns the start and end of the value of the last member named `key` (ASCII), in bytes that are one object. "none": they
 * are JSON, but no object with that member. Undefined: they are not JSON.
 */
export const memberRange = (
  bytes: Uint8Array,
  key: string
): readonly [start: number, end: number] | "none" | undefined => {
  let found: readonly [number, number] | "none" = "none"
  let at = skipSpace(bytes, 0)
  if (bytes[at] !== openBrace) return isWhole(bytes, valueEnd(bytes, at)) ? "none" : undefined
  at = skipSpace(bytes, at + 1)
  if (bytes[at] === closeBrace) return isWhole(bytes, at + 1) ? "none" : undefined
  while (true) {
    const keyStart = at
    at = keyEnd(bytes, at)
    if (at < 0) return undefined
    const start = skipSpace(bytes, at)
    const end = valueEnd(bytes, start)
    if (end < 0) return undefined
    if (isKey(bytes, keyStart, key)) found = [start, end]
    at = skipSpace(bytes, end)
    if (bytes[at] === closeBrace) return isWhole(bytes, at + 1) ? found : undefined
    if (bytes[at] !== comma) return undefined
    at = skipSpace(bytes, at + 1)
  }
}

/**
 * Returns the start and end of each element, one after the other, in bytes that are one array. "none": they are another
 * value. "too many": the array has more than `countMax`, and the rest was not checked. Undefined: they are not JSON.
 */
export const elementRanges = (
  bytes: Uint8Array,
  countMax: number
): ReadonlyArray<number> | "none" | "too many" | undefined => {
  let at = skipSpace(bytes, 0)
  if (bytes[at] !== openBracket) return isWhole(bytes, valueEnd(bytes, at)) ? "none" : undefined
  const found: Array<number> = []
  at = skipSpace(bytes, at + 1)
  if (bytes[at] === closeBracket) return isWhole(bytes, at + 1) ? found : undefined
  while (true) {
    const start = skipSpace(bytes, at)
    const end = valueEnd(bytes, start)
    if (end < 0) return undefined
    if (found.length === 2 * countMax) return "too many"
    found.push(start, end)
    at = skipSpace(bytes, end)
    if (bytes[at] === closeBracket) return isWhole(bytes, at + 1) ? found : undefined
    if (bytes[at] !== comma) return undefined
    at++
  }
}

/** A member of an object: its key, and the start and end of its value. */
export type Member = readonly [key: string, start: number, end: number]

/**
 * Returns every member, in order, of bytes that are one object; undefined when they are not. Its keys are always right; a
 * key that `JSON.parse` makes may depend on objects that it made before (json-values.ts).
 */
export const members = (bytes: Uint8Array): ReadonlyArray<Member> | undefined => {
  const found: Array<Member> = []
  let at = skipSpace(bytes, 0)
  if (bytes[at] !== openBrace) return undefined
  at = skipSpace(bytes, at + 1)
  if (bytes[at] === closeBrace) return isWhole(bytes, at + 1) ? found : undefined
  while (true) {
    const keyStart = at
    at = keyEnd(bytes, at)
    if (at < 0) return undefined
    const start = skipSpace(bytes, at)
    const end = valueEnd(bytes, start)
    if (end < 0) return undefined
    found.push([keyAt(bytes, keyStart), start, end])
    at = skipSpace(bytes, end)
    if (bytes[at] === closeBrace) return isWhole(bytes, at + 1) ? found : undefined
    if (bytes[at] !== comma) return undefined
    at = skipSpace(bytes, at + 1)
  }
}

/** Returns the end of the space that begins at `from` (RFC 8259 2). */
export const skipSpace = (bytes: Uint8Array, from: number): number => {
  let at = from
  // Not beyond the end: after one read out of bounds, V8 makes all later reads slower.
  while (at < bytes.length && bytes[at]! <= 0x20 && isSpace(bytes[at]!)) at++
  return at
}

export const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/** Returns the first byte that cannot be part of one value with only space around it; -1 when the bytes are such a value. */
export const faultAt = (bytes: Uint8Array): number => {
  const end = valueEnd(bytes, 0)
  if (end < 0) return -1 - end
  const behind = skipSpace(bytes, end)
  return behind === bytes.length ? -1 : behind
}

/** Whether only space is behind `end`. */
const isWhole = (bytes: Uint8Array, end: number): boolean => end >= 0 && skipSpace(bytes, end) === bytes.length

/** Returns the end of the string that begins at `from`. Like all functions below: `-1 - at` when there is none. */
const stringEnd = (bytes: Uint8Array, from: number): number => {
  const { length } = bytes
  for (let at = from + 1; at < length; at++) {
    const byte = bytes[at]!
    if (byte === quote) return at + 1
    if (byte < 0x20) return -1 - at
    if (byte !== backslash) continue
    const escape = bytes[++at]!
    if (escape === 0x75) {
      for (let i = 0; i < 4; i++) if (!isHex(bytes[++at]!)) return -1 - at
    } else if (!isEscape(escape)) {
      return -1 - at
    }
  }
  return -1 - length
}

/** Returns the end of the colon behind the key that begins at `from`. */
const keyEnd = (bytes: Uint8Array, from: number): number => {
  const end = bytes[from] === quote ? stringEnd(bytes, from) : -1 - from
  if (end < 0) return end
  const at = skipSpace(bytes, end)
  return bytes[at] === colon ? at + 1 : -1 - at
}

/** Whether the key at `from`, which must be valid, is `key`: written plainly or with escapes. */
const isKey = (bytes: Uint8Array, from: number, key: string): boolean => {
  let at = from + 1
  for (let i = 0; i < key.length; i++) {
    let code = bytes[at++]
    if (code === quote) return false
    if (code === backslash) {
      code = bytes[at++]!
      if (code === 0x75) {
        code = 0
        for (const end = at + 4; at < end; at++) code = code * 16 + hexOf(bytes[at]!)
      } else {
        code = letters[code] ?? code
      }
    }
    if (code !== key.charCodeAt(i)) return false
  }
  return bytes[at] === quote
}

/** Returns the key at `from`, which must be valid. */
const keyAt = (bytes: Uint8Array, from: number): string =>
  JSON.parse(decoder.decode(bytes.subarray(from, stringEnd(bytes, from)))) as string

/** Returns the end of the number or word that begins at `from`. */
const scalarEnd = (bytes: Uint8Array, from: number): number => {
  switch (bytes[from]) {
    case 0x74:
      return wordEnd(bytes, from, "true")
    case 0x66:
      return wordEnd(bytes, from, "false")
    case 0x6e:
      return wordEnd(bytes, from, "null")
    default:
      return numberEnd(bytes, from)
  }
}

const wordEnd = (bytes: Uint8Array, from: number, word: string): number => {
  for (let i = 1; i < word.length; i++) if (bytes[from + i] !== word.charCodeAt(i)) return -1 - from - i
  return from + word.length
}

const numberEnd = (bytes: Uint8Array, from: number): number => {
  let at = bytes[from] === minus ? from + 1 : from
  const whole = at
  at = digitsEnd(bytes, at)
  if (at === whole) return -1 - at
  if (bytes[whole] === zero && at > whole + 1) return -1 - (whole + 1)
  if (bytes[at] === point) {
    const fraction = at + 1
    at = digitsEnd(bytes, fraction)
    if (at === fraction) return -1 - at
  }
  if (bytes[at] === 0x65 || bytes[at] === 0x45) {
    const sign = bytes[at + 1]
    const exponent = sign === minus || sign === plus ? at + 2 : at + 1
    at = digitsEnd(bytes, exponent)
    if (at === exponent) return -1 - at
  }
  return at
}

const digitsEnd = (bytes: Uint8Array, from: number): number => {
  let at = from
  while (at < bytes.length && bytes[at]! >= zero && bytes[at]! <= zero + 9) at++
  return at
}

/** The number of a hexadecimal digit, which must be valid. */
const hexOf = (byte: number): number => byte <= zero + 9 ? byte - zero : (byte | 0x20) - 0x61 + 10

const isHex = (byte: number): boolean =>
  (byte >= zero && byte <= zero + 9) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)

/** `"`, `\`, `/`, `b`, `f`, `n`, `r`, `t`. */
const isEscape = (byte: number): boolean =>
  byte === quote || byte === backslash || byte === 0x2f || byte === 0x62 || byte === 0x66 || byte === 0x6e ||
  byte === 0x72 || byte === 0x74

/** The characters that the letters of escapes stand for; the other escapes stand for themselves. */
const letters: { readonly [code: number]: number } = { 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9 }

const quote = 0x22
const plus = 0x2b
const comma = 0x2c
const minus = 0x2d
const point = 0x2e
const zero = 0x30
const colon = 0x3a
const openBracket = 0x5b
const backslash = 0x5c
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/** The arrays (0) and objects (1) around a value. Scans run one at a time, so all of them use one memory. */
let open = new Uint8Array(64)

const grow = (memory: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
  const more = new Uint8Array(memory.length * 2)
  more.set(memory)
  return more
}

const decoder = new TextDecoder()
