/**
 * The files that are open. A stream that nobody has used for a while gives its descriptor back when others need one, so
 * that streams are not limited by descriptors. No descriptor is closed while somebody uses it: its number could be
 * another file's a moment later.
 */
import { Effect } from "effect"
import type { Disk, DiskFailure, DiskFile } from "./disk.ts"

export interface OpenFile {
  readonly path: string
  /** Runs with the file open. */
  readonly use: <A, E>(use: (file: DiskFile) => Effect.Effect<A, E>) => Effect.Effect<A, E | DiskFailure>
  /** Gives the descriptor back, once those who use it are done. The next use opens the file anew. */
  readonly release: Effect.Effect<void>
}

export interface OpenFiles {
  /** A file that exists, of which a descriptor is already open. */
  readonly file: (path: string, opened: DiskFile) => Effect.Effect<OpenFile>
}

export const makeOpenFiles = (disk: Disk, openMax: number): OpenFiles => {
  /** Open descriptors, the longest unused one first. */
  const open = new Set<Descriptor>()

  const makeRoom = Effect.gen(function*() {
    for (const descriptor of open) {
      if (open.size <= openMax) return
      if (descriptor.users === 0) yield* descriptor.retire
    }
  })

  return {
    file: Effect.fnUntraced(function*(path, opened) {
      let current: Descriptor | undefined

      const adopt = (file: DiskFile): Descriptor => {
        const descriptor: Descriptor = {
          file,
          users: 0,
          retire: Effect.suspend(() => {
            // Once only: closed twice, its number could be another file's the second time.
            if (!open.delete(descriptor)) return Effect.void
            if (current === descriptor) current = undefined
            return descriptor.users === 0 ? file.close : Effect.void
          })
        }
        return descriptor
      }

      /** Opens the file anew. */
      const reopen = Effect.gen(function*() {
        const file = yield* disk.open(path)
        // Two at once may both open; the one that comes second gives its descriptor back.
        if (current !== undefined) return yield* file.close
        current = adopt(file)
        open.add(current)
        yield* makeRoom
      })

      /** Runs with a descriptor, which nobody closes meanwhile. */
      const using = <A, E>(descriptor: Descriptor, use: (file: DiskFile) => Effect.Effect<A, E>) => {
        descriptor.users++
        open.delete(descriptor)
        open.add(descriptor)
        return Effect.onExitPrimitive(use(descriptor.file), () => {
          descriptor.users--
          // Nobody has to wait for the closing of what was retired meanwhile.
          return descriptor.users > 0 || open.has(descriptor)
            ? undefined
            : Effect.asVoid(Effect.forkDetach(descriptor.file.close))
        })
      }

      current = adopt(opened)
      open.add(current)
      yield* makeRoom

      return {
        path,
        use: (use) =>
          Effect.suspend(() =>
            current === undefined
              ? Effect.andThen(reopen, Effect.suspend(() => using(current!, use)))
              : using(current, use)
          ),
        release: Effect.suspend(() => current === undefined ? Effect.void : current.retire)
      }
    })
  }
}

interface Descriptor {
  readonly file: DiskFile
  users: number
  /** Takes it out of use; it is closed when its last user leaves. */
  readonly retire: Effect.Effect<void>
}
