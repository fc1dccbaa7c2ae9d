/**
 * A log of six commits, and the storage that makes it on a disk of the test's choice.
 */
import { Context, Effect, Layer } from "effect"
import type { Disk } from "../../src/storage-filesystem/disk/disk.ts"
import { toFileName } from "../../src/storage-filesystem/format/file-names.ts"
import { layerFileSystem } from "../../src/storage-filesystem/storage-filesystem.ts"
import type { Commit } from "../../src/storage/storage.ts"
import { Storage } from "../../src/storage/storage.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { commitOf, described, named, readUpTo, textsOf } from "./storage-fixtures.ts"

export const directory = "/streams"
export const name = "orders/2024"
export const pathOf = (stream: string): string => `${directory}/${toFileName(named(stream))}`
export const path = pathOf(name)

/** The storage as the next process makes it. */
export const storageOn = (
  disk: Disk,
  options: { openFilesMax?: number; durability?: "fsync" | "os"; directory?: string; journalBytesMax?: number } = {}
) =>
  Effect.map(
    Layer.build(layerFileSystem({ directory, durability: "fsync", disk, ...options })),
    (context) => Context.get(context, Storage)
  )

const payloads: ReadonlyArray<ReadonlyArray<string>> = [
  [`{"n":0}`],
  [`"ü – 漢字 🎈"`, `{"commit":{"crc":"00000000"}}`, `[]`],
  [`{"text":"${"long ".repeat(30)}"}`],
  [`1`, `2`],
  [`{"crc":"0b57c2ee"}`],
  [`{"last":true}`]
]

const closed = `{"closed":true}`

/** Six commits of one or more events; the last one closes the stream, with an event or without. */
export const sixCommits = (closing: "with an event" | "alone" | "not" = "with an event"): ReadonlyArray<Commit> => {
  let first = 0
  return payloads.map((data, i) => {
    const last = i === payloads.length - 1
    const events = last && closing === "alone" ? [] : data
    const commit = commitOf(name, first, events, last && closing !== "not" ? closed : undefined)
    first += events.length
    return commit
  })
}

export const textsOfAll = (commits: ReadonlyArray<Commit>): Array<string> =>
  commits.flatMap(({ events }) => textsOf(events))

/** Makes the log; `acknowledged` is called after each commit. */
export const writing = Effect.fnUntraced(
  function*(disk: Disk, commits: ReadonlyArray<Commit>, acknowledged: (commits: number) => void = () => {}) {
    const storage = yield* storageOn(disk)
    const log = yield* storage.create(described(name), commits[0]!)
    acknowledged(1)
    for (let i = 1; i < commits.length; i++) {
      yield* log.commit(commits[i]!)
      acknowledged(i + 1)
    }
  },
  Effect.scoped
)

/** The log's events and its state, as the next process finds them; undefined if there is no such log. */
export const recovering = Effect.fnUntraced(
  function*(disk: Disk, stream = name) {
    const storage = yield* storageOn(disk)
    const log = yield* storage.open(named(stream))
    return { texts: yield* readUpTo(log, log.tail), tail: log.tail, state: [...log.state] }
  },
  Effect.scoped,
  Effect.catchTag("StreamNotFound", () => Effect.undefined)
)

/** Opens the log and appends one more event to it. */
export const appendingOne = Effect.fnUntraced(function*(disk: Disk, data: string) {
  const storage = yield* storageOn(disk)
  const log = yield* storage.open(named(name))
  const commit = commitOf(name, log.tail, [data])
  yield* log.commit(commit)
  return textsOf(commit.events)
}, Effect.scoped)

export const other = "orders/2025"

/** A disk with the log of these commits, another log beside it, and the positions where the commits end. */
export const twoLogs = Effect.fnUntraced(function*(commits: ReadonlyArray<Commit>) {
  const disk = new FaultDisk()
  const ends: Array<number> = []
  yield* writing(disk, commits, () => ends.push(disk.files[path]!.length))
  const storage = yield* storageOn(disk)
  yield* storage.create(described(other), commitOf(other, 0, [`"whole"`, `"sound"`]))
  return { files: disk.files, bytes: disk.files[path]!, ends }
}, Effect.scoped)
