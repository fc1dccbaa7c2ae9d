/**
 * The small files by which a server says where it is, and by which commands find it. They are hints: a server that cannot
 * write them, because the disk is full, serves all the same and writes them when there is room.
 */
import * as fs from "node:fs"
import { giveToOwner, readDigits, readText } from "./data-directory.ts"
import { filesOf } from "./settings.ts"

/** Where a server is, and what it proves itself with. */
export interface Place {
  /** Undefined when 127.0.0.1 finds the server. */
  readonly host: string | undefined
  readonly port: number
  readonly pid: number
  /** Undefined when an earlier version wrote the files. */
  readonly secret: string | undefined
}

/** Writes them; fails with what the disk says. A reserve that is kept for them makes room on a full disk. */
export const writePlace = (dataDirectory: string, place: Place): void => {
  const { reserve } = filesOf(dataDirectory)
  try {
    writeAll(dataDirectory, place)
    keepReserve(reserve)
  } catch (cause) {
    if (!isFull(cause) || !fs.existsSync(reserve)) throw cause
    fs.rmSync(reserve, { force: true })
    writeAll(dataDirectory, place)
  }
}

/** What they say; undefined when they do not say it all. */
export const readPlace = (dataDirectory: string): Place | undefined => {
  const files = filesOf(dataDirectory)
  const [pid, port] = [readDigits(files.pid), readDigits(files.port)]
  const secret = readText(files.secret)
  if (pid === undefined || port === undefined || Number(port) > 65535) return undefined
  return { host: readText(files.host), port: Number(port), pid: Number(pid), secret }
}

/** Takes those away that are still this server's: another may have the directory's path by now. */
export const removePlace = (dataDirectory: string, place: Place): void => {
  for (const [path, text] of textsOf(dataDirectory, place).toReversed()) {
    // A full disk may have left an empty one.
    if (["", text].includes(readText(path) ?? text)) fs.rmSync(path, { force: true })
  }
  const { pid, reserve } = filesOf(dataDirectory)
  if (fs.existsSync(dataDirectory) && !fs.existsSync(pid)) keepReserve(reserve)
}

/** In the order in which they are written: a reader who sees the pid finds the rest beside it. */
const textsOf = (dataDirectory: string, { host, pid, port, secret }: Place) => {
  const files = filesOf(dataDirectory)
  return [
    ...(secret === undefined ? [] : [[files.secret, secret] as const]),
    [files.port, String(port)],
    ...(host === undefined ? [] : [[files.host, host] as const]),
    [files.pid, String(pid)]
  ] as ReadonlyArray<readonly [path: string, text: string]>
}

const writeAll = (dataDirectory: string, place: Place): void => {
  for (const [path, text] of textsOf(dataDirectory, place)) writeFile(path, `${text}\n`)
}

/** What these files need on file systems that give a block of 4 KiB to each, and as much again. */
const reserveBytes = 32 * 1024

/** Makes the reserve when it is not there; a disk without room for it goes without. */
const keepReserve = (reserve: string): void => {
  if (fs.existsSync(reserve)) return
  try {
    writeFile(reserve, Buffer.alloc(reserveBytes))
  } catch {
    fs.rmSync(reserve, { force: true })
  }
}

const isFull = (cause: unknown): boolean => ["ENOSPC", "EDQUOT"].includes(String((cause as NodeJS.ErrnoException).code))

const writeFile = (path: string, text: string | Uint8Array) => {
  // A link or a directory that lies there is replaced, not followed.
  fs.rmSync(path, { recursive: true, force: true })
  fs.writeFileSync(path, text, { mode: 0o600, flag: "wx" })
  giveToOwner(path)
}
