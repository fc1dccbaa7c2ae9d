/**
 * Stream names as file names (docs/storage-format.md 2): injective on every file system, and never outside a directory.
 */
import { createHash } from "node:crypto"
import type { StreamName } from "../../domain/types.ts"
import { nameFault } from "../../domain/types.ts"

/** The longest file name (NAME_MAX on Linux, macOS and Windows). */
const fileNameBytesMax = 255

/** How much of a long name stays readable in front of its hash. */
const readablePart = 120

const logSuffix = ".json"

/** The file of a log that is being created. */
export const newSuffix = ".new"

/** The log of a stream that was deleted and has forks. It is as long as the suffix above, so it fits if that does. */
export const hiddenSuffix = ".del"

/** An empty file beside the log of a stream that can expire; its time is when the stream was last used. */
export const expiringSuffix = ".ttl"

/** The file that is written to find out whether the disk takes writes (docs/storage-format.md 1). No log has such a name. */
export const probeName = "probe"

/** The name of the file that holds the stream's log. */
export const toFileName = (name: StreamName): string => {
  const encoded = encode(name)
  if (encoded.length + logSuffix.length + newSuffix.length <= fileNameBytesMax) return encoded + logSuffix
  return `${encoded.slice(0, readablePart)}~${createHash("sha256").update(name).digest("hex")}${logSuffix}`
}

/** The copy of a log's file from before its torn end was cut. No log's name ends like this. */
export const beforeRepairName = (file: string, number: number): string => {
  const name = `${file}.before-repair-${number}`
  if (name.length <= fileNameBytesMax) return name
  const hash = createHash("sha256").update(file).digest("hex")
  return `${file.slice(0, readablePart)}~${hash}${logSuffix}.before-repair-${number}`
}

/** The stream of a file; "hashed" if only the file's first line tells; undefined if the file is no log. */
export const fromFileName = (file: string): StreamName | "hashed" | undefined => {
  if (!file.endsWith(logSuffix)) return undefined
  const encoded = file.slice(0, -logSuffix.length)
  if (/^[a-z0-9_%A-F-]{120}~[0-9a-f]{64}$/.test(encoded)) return "hashed"
  try {
    const name = decodeURIComponent(encoded) as StreamName
    return nameFault(name) === undefined && toFileName(name) === file ? name : undefined
  } catch {
    return undefined
  }
}

const encode = (name: string): string => {
  let encoded = ""
  for (const byte of Buffer.from(name)) encoded += plain[byte] ?? escaped(byte)
  return windowsDevice.test(encoded) ? escaped(encoded.charCodeAt(0)) + encoded.slice(1) : encoded
}

const escaped = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`

const plain: ReadonlyArray<string | undefined> = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte)
  return /[a-z0-9_-]/.test(character) ? character : undefined
})

const windowsDevice = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$/
