/**
 * The files that are open. The file that was unused for longest gives its descriptor back when others need one, so that
 * descriptors do not limit the streams. No descriptor is closed while a call uses it: its number could be another file's a
 * moment later.
 */
import { Effect } from "effect"
import type { Disk, DiskFile } from "./disk.ts"
import { DiskFailure } from "./disk.ts"

export interface OpenFile {
  readonly path: string
  /** Runs with the file open. */
  readonly use: <A, E>(use: (file: DiskFile) => Effect.Effect<A, E>) => Effect.Effect<A, E | DiskFailure>
  /** Gives the descriptor back once its users are done. The next use opens the file anew. */
  readonly release: Effect.Effect<void>
  /** The same for good: another file may lie at the path from now on, so later uses fail with ENOENT. */
  readonly close: Effect.Effect<void>
}

export interface OpenFiles {
  /** Takes over the open descriptor of an existing file. */
  readonly file: (path: string, opened: DiskFile) => Effect.Effect<OpenFile>
}

export const makeOpenFiles = (disk: Disk, openMax: number): OpenFiles => {
  /** Open descriptors, the longest unused one first. More than `openMax` only while more are in use. */
  const open = new Set<Descriptor>()

  const makeRoom = Effect.gen(function*() {
    for (const descriptor of open) {
      if (open.size <= openMax) return
      if (descriptor.users === 0) yield* descriptor.retire
    }
  })

  /** Ends a use. The closing of a descriptor runs in the background: no user waits for it. */
  const leave = (descriptor: Descriptor) => {
    descriptor.users--
    if (descriptor.users > 0) return undefined
    if (!open.has(descriptor)) return Effect.asVoid(Effect.forkDetach(descriptor.file.close))
    return open.size > openMax ? Effect.asVoid(Effect.forkDetach(makeRoom)) : undefined
  }

  return {
    file: Effect.fnUntraced(function*(path, opened) {
      let current: Descriptor | undefined
      let closed = false
      const failMissing = () => Effect.fail(new DiskFailure({ code: "ENOENT", call: "open", path, cause: undefined }))

      const adopt = (file: DiskFile): Descriptor => {
        const descriptor: Descriptor = {
          file,
          users: 0,
          retire: Effect.suspend(() => {
            // Only once: the second time, its number could be another file's.
            if (!open.delete(descriptor)) return Effect.void
            if (current === descriptor) current = undefined
            return descriptor.users === 0 ? file.close : Effect.void
          })
        }
        current = descriptor
        open.add(descriptor)
        return descriptor
      }

      /** Opens the file anew. A user that is interrupted meanwhile still gets the descriptor, and leaves it. */
      const reopen = (enter: (descriptor: Descriptor) => DiskFile) =>
        Effect.uninterruptible(Effect.gen(function*() {
          if (closed) return yield* failMissing()
          const file = yield* disk.open(path)
          if (closed) return yield* Effect.andThen(file.close, failMissing())
          if (current !== undefined) {
            // Two users at once may both open the file; the second one gives its descriptor back.
            const known = enter(current)
            yield* file.close
            return known
          }
          // Entered before making room: an unused descriptor would be closed to make room for itself.
          const entered = enter(adopt(file))
          yield* makeRoom
          return entered
        }))

      const release = Effect.suspend(() => current === undefined ? Effect.void : current.retire)

      adopt(opened)
      yield* makeRoom

      return {
        path,
        use: (use) =>
          Effect.suspend(() => {
            let held: Descriptor | undefined
            /** From here on it stays open. */
            const enter = (descriptor: Descriptor) => {
              held = descriptor
              descriptor.users++
              open.delete(descriptor)
              open.add(descriptor)
              return descriptor.file
            }
            return Effect.onExitPrimitive(
              Effect.suspend(() => current === undefined ? Effect.flatMap(reopen(enter), use) : use(enter(current))),
              () => held === undefined ? undefined : leave(held)
            )
          }),
        release,
        close: Effect.suspend(() => {
          closed = true
          return release
        })
      }
    })
  }
}

interface Descriptor {
  readonly file: DiskFile
  users: number
  /** Takes the descriptor out of use; it is closed when its last user leaves. */
  readonly retire: Effect.Effect<void>
}
