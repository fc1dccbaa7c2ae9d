/**
 * The footprint of a server: its streams, and the files of its data directory, without the stream that one busy client
 * changes all the time.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { ask } from "../clients/ask.ts"

export interface Footprint {
  readonly streams: ReadonlyArray<string>
  /** Path, size and time of the last change of each file. */
  readonly files: ReadonlyArray<string>
}

/** Files that the server writes for all streams together. */
const shared = /^(?:journal|lock$|lock-|daemon\.)/

export const footprint = async (port: number, directory: string, busy: string): Promise<Footprint> => {
  const streams = await listStreams(port)
  const files = fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) =>
    !Path.basename(path).startsWith(busy) && !path.split(Path.sep).some((part) => shared.test(part))
  ).flatMap((path) => {
    const { isFile, mtimeMs, size } = statOf(Path.join(directory, path))
    return isFile ? [`${path} ${size} ${mtimeMs}`] : [path]
  })
  return { streams: streams.filter((name) => name !== busy), files: files.toSorted() }
}

/** Returns the names of all streams, as the server lists them. */
export const listStreams = async (port: number): Promise<ReadonlyArray<string>> => {
  const answer = await ask(port, "/streams")
  if (answer?.status !== 200) throw new Error(`The streams cannot be listed: ${answer?.status} ${answer?.text}`)
  return (JSON.parse(answer.text) as { readonly streams: ReadonlyArray<string> }).streams
}

/** Returns a sentence if the two differ. */
export const difference = (before: Footprint, after: Footprint): string | undefined => {
  const came = [...without(after.streams, before.streams), ...without(after.files, before.files)]
  const went = [...without(before.streams, after.streams), ...without(before.files, after.files)]
  if (came.length === 0 && went.length === 0) return undefined
  return `came: ${JSON.stringify(came.slice(0, 5))}, went: ${JSON.stringify(went.slice(0, 5))}`
}

const statOf = (path: string) => {
  const stat = fs.statSync(path, { throwIfNoEntry: false })
  return { isFile: stat?.isFile() === true, size: stat?.size, mtimeMs: stat?.mtimeMs }
}

const without = (one: ReadonlyArray<string>, other: ReadonlyArray<string>) =>
  one.filter((item) => !other.includes(item))
