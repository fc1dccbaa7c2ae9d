/**
 * The small files by which a server says where it is, and by which commands find it. They are hints: a server that cannot
 * write them, because the disk is full, serves all the same and writes them when there is room.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { giveToOwner, readDigits, readText } from "../../data-directory/data-directory.ts"
import { filesOf } from "../../data-directory/paths.ts"

/** The address of a server, and the secret with which it proves itself. */
export interface Place {
  /** Undefined when 127.0.0.1 finds the server. */
  readonly host: string | undefined
  readonly port: number
  readonly pid: number
  /** Undefined when an earlier version wrote the files. */
  readonly secret: string | undefined
}

/**
 * Writes the files; throws the error of the disk. They need no new room when a server was here before: its files lie in the
 * reserve, are written over there, and are renamed into their places.
 */
export const writePlace = (dataDirectory: string, place: Place): void => {
  const { host, reserve } = filesOf(dataDirectory)
  makeReserve(reserve)
  for (const [path, text] of textsOf(dataDirectory, place)) {
    setAside(reserve, path)
    const spare = spareOf(reserve, path)
    writeOver(spare, `${text}\n`)
    fs.renameSync(spare, path)
  }
  if (place.host === undefined) keepSpare(spareOf(reserve, host))
}

/** Reads the files; undefined when they do not say all of it. */
export const readPlace = (dataDirectory: string): Place | undefined => {
  const files = filesOf(dataDirectory)
  const [pid, port] = [readDigits(files.pid), readDigits(files.port)]
  const secret = readText(files.secret)
  if (pid === undefined || port === undefined || Number(port) > 65535) return undefined
  return { host: readText(files.host), port: Number(port), pid: Number(pid), secret }
}

/** Takes the files of this server away, and no others: another server may have the directory's path by now. */
export const removePlace = (dataDirectory: string, place: Place): void => {
  const { reserve } = filesOf(dataDirectory)
  for (const [path, text] of textsOf(dataDirectory, place).toReversed()) {
    if (readText(path) === text) setAside(reserve, path)
  }
}

/** Takes away the files of a server that was killed. */
export const clearPlace = (dataDirectory: string): void => {
  const { host, pid, port, reserve, secret } = filesOf(dataDirectory)
  for (const path of [pid, port, host, secret]) setAside(reserve, path)
}

/** In the order in which they are written: a command that sees the pid finds the rest beside it. */
const textsOf = (dataDirectory: string, { host, pid, port, secret }: Place) => {
  const files = filesOf(dataDirectory)
  return [
    ...(secret === undefined ? [] : [[files.secret, secret] as const]),
    [files.port, String(port)],
    ...(host === undefined ? [] : [[files.host, host] as const]),
    [files.pid, String(pid)]
  ] as ReadonlyArray<readonly [path: string, text: string]>
}

/** The file whose room is kept for another. */
const spareOf = (reserve: string, path: string): string => Path.join(reserve, Path.basename(path))

const makeReserve = (reserve: string): void => {
  if (fs.lstatSync(reserve, { throwIfNoEntry: false })?.isDirectory() === true) return
  // An earlier version kept its room in one file.
  fs.rmSync(reserve, { force: true })
  fs.mkdirSync(reserve, { mode: 0o700 })
  giveToOwner(reserve)
}

/** Takes the file away and keeps its room; a link or a directory in its place has no room to keep. */
const setAside = (reserve: string, path: string): void => {
  if (isOwnFile(path)) {
    try {
      return fs.renameSync(path, spareOf(reserve, path))
    } catch {
      // Without a reserve, its room is given up.
    }
  }
  fs.rmSync(path, { recursive: true, force: true })
}

/** A text that fits into a block needs no new one: the file is never emptied before it is written. */
const writeOver = (spare: string, text: string): void => {
  if (!isOwnFile(spare)) fs.rmSync(spare, { recursive: true, force: true })
  const { O_CREAT, O_NOFOLLOW, O_WRONLY } = fs.constants
  // Windows has no such flag, and gives none.
  const file = fs.openSync(spare, O_WRONLY | O_CREAT | (O_NOFOLLOW ?? 0), 0o600)
  try {
    fs.writeSync(file, text)
    fs.ftruncateSync(file, Buffer.byteLength(text))
  } finally {
    fs.closeSync(file)
  }
  giveToOwner(spare)
}

/** Keeps room for a later server that needs the file; on a full disk, it is left out. */
const keepSpare = (spare: string): void => {
  try {
    if (!isOwnFile(spare)) writeOver(spare, "\n")
  } catch {
    fs.rmSync(spare, { force: true })
  }
}

/** Whether it is a file that has no other name elsewhere, and so may be written over. */
const isOwnFile = (path: string): boolean => {
  const stats = fs.lstatSync(path, { throwIfNoEntry: false })
  return stats?.isFile() === true && stats.nlink === 1
}
