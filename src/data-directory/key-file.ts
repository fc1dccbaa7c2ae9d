/**
 * A key that is generated at first need and kept in a file of its own. The file is whole or absent, and only its owner can
 * read it (docs/storage-format.md 9).
 */
import { Data, Effect } from "effect"
import * as fs from "node:fs"
import * as Path from "node:path"
import { flushDirectory } from "./data-directory.ts"

/** A key could not be read or written; `message` says which and why, and quotes nothing of the key. */
export class KeyFailed extends Data.TaggedError("KeyFailed")<{ readonly message: string }> {}

/** Reads the key in the file with `read`. If there is no file, writes the text that `make` returns first. */
export const keptKey = <A>(
  file: string,
  read: (text: string) => A,
  make: () => string
): Effect.Effect<A, KeyFailed> =>
  Effect.try({
    try: () => {
      const text = readKey(file)
      if (text !== undefined) return read(text)
      const made = make()
      writeKey(file, made)
      return read(made)
    },
    catch: (cause) =>
      new KeyFailed({
        // The error of `read` could quote the key.
        message: `The key in ${file} cannot be used` +
          (cause instanceof Error && "syscall" in cause ? `: ${cause.message}` : ": it is not one.")
      })
  })

const readKey = (file: string): string | undefined => {
  try {
    return fs.readFileSync(file, "utf8")
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw cause
  }
}

/** New file, flush, rename, flush of the directory: after a crash the whole key exists, or none. */
const writeKey = (file: string, text: string): void => {
  const directory = Path.dirname(file)
  if (fs.mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined) flushDirectory(Path.dirname(directory))
  const made = `${file}.new`
  // A file that a crash left may have another mode.
  fs.rmSync(made, { force: true })
  const handle = fs.openSync(made, "wx", 0o600)
  try {
    giveToOwner(directory)
    giveToOwner(made)
    fs.writeSync(handle, text)
    fs.fsyncSync(handle)
  } finally {
    fs.closeSync(handle)
  }
  fs.renameSync(made, file)
  flushDirectory(directory)
}

/** A user's own server cannot read a key that is root's. */
const giveToOwner = (path: string): void => {
  if (process.geteuid?.() !== 0) return
  const { gid, uid } = fs.statSync(Path.dirname(path))
  if (uid !== 0) fs.lchownSync(path, uid, gid)
}
