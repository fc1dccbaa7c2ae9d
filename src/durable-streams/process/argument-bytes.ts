/**
 * Arguments and variables as the system has them: bytes. Node reads those that are not UTF-8 as U+FFFD, and the command
 * would mean another text, another stream or another directory.
 */
import { isUtf8 } from "node:buffer"
import * as fs from "node:fs"

/** A sentence that names the argument or variable that is not UTF-8; undefined when all are. */
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
 * Whether all strings in such a file that begin with `start` are UTF-8: then the person typed U+FFFD. A system without the
 * file does not say, and no person types U+FFFD.
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
