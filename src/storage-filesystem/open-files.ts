/**
 * The files that are open. A stream that nobody has used for a while gives its descriptor back when others need one, so
 * that streams are not limited by descriptors.
 */
import { Effect } from "effect"
import type { Disk, DiskFailure, DiskFile } from "./disk.ts"

export interface OpenFile {
  readonly path: string
  /** Runs with the file open. */
  readonly use: <A, E>(use: (file: DiskFile) => Effect.Effect<A, E>) => Effect.Effect<A, E | DiskFailure>
  /** Gives the descriptor back, once the calls under way have returned. The next use opens the file anew. */
  readonly release: Effect.Effect<void>
}

export interface OpenFiles {
  /** A file that exists, perhaps with a descriptor of it that is already open. */
  readonly file: (path: string, opened?: DiskFile) => OpenFile
}

export const makeOpenFiles = (disk: Disk, openMax: number): OpenFiles => {
  /** Open descriptors, the longest unused one first. */
  const open = new Map<object, Slot>()

  const makeRoom = Effect.suspend(() => {
    if (open.size <= openMax) return Effect.void
    for (const [key, slot] of open) {
      if (slot.users > 0) continue
      open.delete(key)
      const file = slot.file
      slot.file = undefined
      return file === undefined ? Effect.void : file.close
    }
    return Effect.void
  })

  return {
    file: (path, opened) => {
      const key = {}
      const slot: Slot = { file: opened, users: 0 }
      if (opened !== undefined) open.set(key, slot)

      const ensureOpen = Effect.gen(function*() {
        // Two at once may both open; the one that comes second gives its descriptor back.
        if (slot.file === undefined) {
          const file = yield* disk.open(path)
          if (slot.file === undefined) slot.file = file
          else yield* file.close
        }
        open.delete(key)
        open.set(key, slot)
        yield* makeRoom
        return slot.file
      })

      const release = Effect.suspend(() => {
        open.delete(key)
        const file = slot.file
        slot.file = undefined
        // Calls under way keep it from closing at once; nobody has to wait for them.
        return file === undefined ? Effect.void : Effect.asVoid(Effect.forkDetach(file.close))
      })

      return {
        path,
        use: (use) =>
          Effect.acquireUseRelease(
            Effect.suspend(() => {
              slot.users++
              return Effect.onError(ensureOpen, () => Effect.sync(() => slot.users--))
            }),
            use,
            () => Effect.sync(() => slot.users--)
          ),
        release
      }
    }
  }
}

interface Slot {
  file: DiskFile | undefined
  users: number
}
