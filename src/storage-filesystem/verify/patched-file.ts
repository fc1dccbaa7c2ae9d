/**
 * A file whose writes stay in memory: reads see them, and the file itself does not change. So a check sees a log as it will
 * be after a start has replayed the journal.
 */
import { Effect } from "effect"
import type { DiskFile } from "../disk/disk.ts"

export interface PatchedFile extends DiskFile {
  /** Whether any write differs from the bytes of the file. */
  readonly isChanged: () => boolean
}

export const patchedFile = (file: DiskFile): PatchedFile => {
  const patches: Array<{ readonly position: number; readonly bytes: Uint8Array }> = []
  let changed = false

  const size = Effect.map(
    file.size,
    (size) => patches.reduce((most, { bytes, position }) => Math.max(most, position + bytes.length), size)
  )

  const read: DiskFile["read"] = (into, length, position) =>
    Effect.gen(function*() {
      let got = yield* file.read(into, length, position)
      for (const { bytes, position: at } of patches) {
        const from = Math.max(at, position)
        const to = Math.min(at + bytes.length, position + length)
        if (from >= to) continue
        into.set(bytes.subarray(from - at, to - at), from - position)
        got = Math.max(got, to - position)
      }
      return got
    })

  return {
    ...file,
    size,
    read,
    write: (bytes, position) =>
      Effect.gen(function*() {
        const there = new Uint8Array(bytes.length)
        const got = yield* read(there, there.length, position)
        if (got === bytes.length && Buffer.compare(there, bytes) === 0) return
        changed = true
        patches.push({ position, bytes: Uint8Array.from(bytes) })
      }),
    flush: Effect.void,
    truncate: () => Effect.die("a file that is only checked is never cut"),
    isChanged: () => changed
  }
}
