/**
 * Arguments, variables and the current folder as the system has them: bytes. Node makes U+FFFD of those that are not UTF-8,
 * and another text, another stream or another directory would be meant.
 */
import { isUtf8 } from "node:buffer"
import * as fs from "node:fs"

/** Why the program was not told what was typed, as a sentence; undefined when it was. */
export const bytesFault = (args: ReadonlyArray<string>): string | undefined => {
  const argument = args.find((text) => text.includes(replacement))
  if (argument !== undefined && !isWhole("/proc/self/cmdline")) {
    return `The argument ${JSON.stringify(argument.slice(0, 60))} holds bytes that are not UTF-8. ` +
      "Write it in UTF-8; a text can also come on stdin."
  }
  const variable = Object.entries(process.env).find(([name, value]) =>
    name.startsWith(prefix) && value?.includes(replacement)
  )
  if (variable !== undefined && !isWhole("/proc/self/environ", prefix)) {
    return `The value of ${variable[0]} holds bytes that are not UTF-8. Write it in UTF-8.`
  }
  return undefined
}

const prefix = "DURABLE_STREAMS_"
const replacement = "\ufffd"

/**
 * Whether the strings in such a file, of those that begin so, are UTF-8: then U+FFFD is what was typed. On a system without
 * the file it cannot be told, and nobody types it.
 */
const isWhole = (path: string, start = ""): boolean => {
  try {
    const bytes = fs.readFileSync(path)
    for (let from = 0; from < bytes.length;) {
      const end = bytes.indexOf(0, from)
      const part = bytes.subarray(from, end < 0 ? bytes.length : end)
      if (part.toString("latin1").startsWith(start) && !isUtf8(part)) return false
      from += part.length + 1
    }
    return true
  } catch {
    return false
  }
}
