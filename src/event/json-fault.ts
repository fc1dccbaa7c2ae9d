/**
 * Says in words where bytes stop being JSON. The messages of a parser name its own internals, and print invisible
 * characters as they are.
 */
import { asBuffer } from "./event-data.ts"
import { faultAt } from "./json-scan.ts"

/** Returns the end of a sentence about bytes that are not JSON: the first wrong character and its place, counted from 1. */
export const jsonFault = (bytes: Uint8Array): string => {
  const source = asBuffer(bytes)
  const at = faultAt(source)
  if (at < 0 || at >= source.length) return "it ends too early"
  const before = source.subarray(0, at)
  const lineStart = before.lastIndexOf(lineFeed) + 1
  let line = 1
  for (let feed = before.indexOf(lineFeed); feed >= 0; feed = before.indexOf(lineFeed, feed + 1)) line++
  const where = line === 1 ? "" : ` in line ${line}`
  return `${show(source.toString("utf8", at, at + 4))} cannot stand${where} at byte ${at - lineStart + 1}`
}

/** The first character of a text; by its number when a reader could not see it. */
const show = (text: string): string => {
  const code = text.codePointAt(0)!
  const character = String.fromCodePoint(code)
  if (character === "\"") return "'\"'"
  return /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character)
    ? `"${character}"`
    : `U+${code.toString(16).toUpperCase().padStart(4, "0")}`
}

const lineFeed = 0x0a
