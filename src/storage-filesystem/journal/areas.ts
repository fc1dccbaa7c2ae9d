/**
 * The two areas of a journal, which take turns: which one is written to, how long its file is, and which logs have commits
 * in it that no other file has flushed (docs/storage-format.md 10).
 */
import { Effect } from "effect"
import type { Disk, DiskFailure, DiskFile } from "../disk/disk.ts"
import { removeIfThere } from "../disk/disk.ts"
import type { OpenFile } from "../disk/open-files.ts"
import type { FoundJournal } from "./journal-reader.ts"
import { areaPaths, readJournal } from "./journal-reader.ts"

/** A log that is open. */
export interface JournaledLog {
  /** The name of its file, without the suffix that it has while the log is hidden. */
  readonly key: string
  readonly file: OpenFile
  /** Where its last acknowledged commit ends. */
  readonly size: () => number
}

export interface Area {
  readonly path: string
  file: DiskFile | undefined
  used: number
  /** How long the file is. A write within it is flushed without the file system's own journal. */
  length: number
  crc: number
  /** Logs with a commit that only this area has flushed, in this turn. */
  unsettled: Map<string, JournaledLog>
}

export interface Areas {
  /** The area that is written to. */
  readonly active: () => Area
  /** The number of its turn. */
  readonly generation: () => number
  /** Reads both areas. Their next turn gets a higher number than any that was read. */
  readonly load: Effect.Effect<FoundJournal, DiskFailure>
  /** Creates both files, and begins a turn. */
  readonly create: Effect.Effect<void, DiskFailure>
  /** Begins the other area's turn. Returns the area before, or undefined if the other one is still needed. */
  readonly turn: () => Area | undefined
  /** Whether any file is open. */
  readonly isOpen: () => boolean
  readonly close: Effect.Effect<void>
  /** Removes both files, durably. The caller has closed them. */
  readonly remove: Effect.Effect<void, DiskFailure>
  /** The unsettled logs of both areas, by key. */
  readonly unsettled: () => ReadonlyMap<string, JournaledLog>
  readonly unsettledLog: (key: string) => JournaledLog | undefined
  /** The log's own file has everything on the medium: no area is needed for it. */
  readonly forget: (key: string) => void
}

export const makeAreas = (disk: Disk, directory: string): Areas => {
  const areas = areaPaths(directory).map((path): Area => ({
    path,
    file: undefined,
    used: 0,
    length: 0,
    crc: 0,
    unsettled: new Map()
  })) as [Area, Area]
  let active = areas[0]
  let generation = 0

  const turn = () => {
    const before = active
    const next = areas[0] === active ? areas[1] : areas[0]
    if (next.unsettled.size > 0) return undefined
    active = next
    active.used = 0
    // Flushes of its last turn may still be under way: they settle that turn's logs, and not this turn's.
    active.unsettled = new Map()
    generation++
    return before
  }

  return {
    active: () => active,
    generation: () => generation,
    load: Effect.map(readJournal(disk, directory), (journal) => {
      generation = Math.max(generation, journal.generation)
      return journal
    }),
    create: Effect.gen(function*() {
      for (const area of areas) area.file = yield* disk.create(area.path)
      yield* disk.flushDirectory(directory)
      active = areas[0]
      generation++
    }),
    turn,
    isOpen: () => areas.some(({ file }) => file !== undefined),
    close: Effect.suspend(() =>
      Effect.forEach(areas, (area) => {
        const { file } = area
        area.file = undefined
        area.used = 0
        area.length = 0
        return file === undefined ? Effect.void : file.close
      }, { discard: true })
    ),
    remove: Effect.andThen(
      Effect.forEach(areas, ({ path }) => removeIfThere(disk, path), { discard: true }),
      disk.flushDirectory(directory)
    ),
    unsettled: () => new Map(areas.flatMap(({ unsettled }) => [...unsettled])),
    unsettledLog: (key) => areas[0].unsettled.get(key) ?? areas[1].unsettled.get(key),
    forget: (key) => {
      for (const { unsettled } of areas) unsettled.delete(key)
    }
  }
}
