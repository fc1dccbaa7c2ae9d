/**
 * The final contents of a log, read three ways that must agree byte for byte (promise 8): page by page, by a follower
 * from its beginning, and from the file itself.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import type { StreamName } from "../../../src/domain/types.ts"
import { toFileName } from "../../../src/storage-filesystem/format/file-names.ts"
import { ask } from "../clients/ask.ts"
import type { Door } from "../clients/doors.ts"
import { protocolPath } from "../clients/doors.ts"
import { Follower } from "../clients/follower.ts"
import type { Final } from "./ledger.ts"

/** Ten times the time that a log of some megabytes takes. */
const followMillis = 10_000

export interface Found {
  readonly finals: ReadonlyArray<Final>
  readonly violations: ReadonlyArray<string>
}

/** Reads through the door alone, which works with any server. */
export const readFinals = async (door: Door, port: number, streams: ReadonlyArray<string>): Promise<Found> => {
  const finals: Array<Final> = []
  const violations: Array<string> = []
  for (const stream of streams) {
    const contents = await door.read(port, stream, 0)
    if (contents === undefined) {
      violations.push(`C13 ${stream}: cannot be read at the end`)
      continue
    }
    const head = await ask(port, protocolPath(stream), { method: "HEAD" })
    finals.push({
      stream,
      exists: contents.status === 200,
      closed: head?.headers["stream-closed"] === "true",
      events: contents.events
    })
  }
  return { finals, violations }
}

/** Reads our own server: the page, the follower and the file must agree. */
export const readOurs = async (
  door: Door,
  port: number,
  streams: ReadonlyArray<string>,
  dataDirectory: string
): Promise<Found> => {
  const { finals, violations } = await readFinals(door, port, streams)
  const differences = await Promise.all(
    finals.filter(({ exists }) => exists).map(async ({ stream }) => {
      const path = `/streams/${encodeURIComponent(stream)}`
      const page = await ask(port, `${path}/events?offset=-1`, { headers: { accept: "application/x-ndjson" } })
      const paged = (page?.text ?? "").split("\n").slice(0, -1)
      const filed = linesOf(
        fs.readFileSync(Path.join(dataDirectory, "streams", toFileName(stream as StreamName)), "utf8")
      )
      if (paged.length !== filed.length || paged.some((line, i) => line !== filed[i])) {
        return [`P8 ${stream}: the page has ${paged.length} events and the file ${filed.length}, or others`]
      }
      const follower = new Follower("finally", port, stream)
      const whole = await follower.hasSeen(paged.length, followMillis)
      follower.stop()
      const isSame = whole && paged.every((text, i) => text === follower.texts[i]) &&
        follower.texts.length === paged.length
      return isSame
        ? []
        : [`P8 ${stream}: a follower sees ${follower.texts.length} events of ${paged.length}, or others`]
    })
  )
  return { finals, violations: [...violations, ...differences.flat()] }
}

/** Returns the events in a file's lines, as the API shows them (docs/storage-format.md 4). */
const linesOf = (text: string): ReadonlyArray<string> =>
  text.split("\n").slice(1, -1).filter((line) => line.startsWith(`{"offset"`)).map((line) =>
    line.replace(/,"commit":\{(?:"state":\{.*\},)?(?:"back":"\d+","size":"\d+",)?"crc":"[0-9a-f]{8}"\}\}$/, "}")
  )
