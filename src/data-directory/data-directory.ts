/**
 * The data directory itself, and the small files in it that say where its server is.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as Path from "node:path"
import { DaemonFailed } from "./paths.ts"

/** Creates the data directory if it does not exist, durably and for its user alone. */
export const makeDataDirectory = (path: string): Effect.Effect<void, DaemonFailed> =>
  Effect.try({
    try: () => {
      const first = fs.mkdirSync(path, { recursive: true, mode: 0o700 })
      if (first === undefined) return
      let made = Path.resolve(path)
      ignoreInGit(path)
      for (; made.startsWith(Path.resolve(first)); made = Path.dirname(made)) flushDirectory(Path.dirname(made))
    },
    catch: (cause) =>
      new DaemonFailed({
        message: `Could not make the data directory ${path}: ${whyNot(path, cause)}. Choose another with --data-dir.`
      })
  })

/**
 * Gives a file that root creates here to the owner of the directory: otherwise the owner could not use it. If that fails,
 * the file stays root's.
 */
export const giveToOwner = (path: string): void => {
  if (process.geteuid?.() !== 0) return
  try {
    const { gid, uid } = fs.statSync(Path.dirname(path))
    if (uid !== 0) fs.lchownSync(path, uid, gid)
  } catch {
    // Some file systems have no owners.
  }
}

/** A project's git leaves the directory out, without a line in the project's own files. */
const ignoreInGit = (directory: string) => {
  try {
    fs.writeFileSync(Path.join(directory, ".gitignore"), "*\n", { mode: 0o600, flag: "wx" })
  } catch {
    // On a full disk the directory works without it.
  }
}

/** Makes the directory's entries durable. */
export const flushDirectory = (directory: string): void => {
  // Windows does not open directories.
  if (process.platform === "win32") return
  const fd = fs.openSync(directory, "r")
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** The text of a small file; undefined if there is none. */
export const readText = (path: string): string | undefined => {
  try {
    return fs.statSync(path).size > 128 ? undefined : fs.readFileSync(path, "utf8").trim()
  } catch {
    return undefined
  }
}

/** The digits in a small file that holds nothing else; undefined for any other file. */
export const readDigits = (path: string): string | undefined => {
  const text = readText(path)
  return text !== undefined && /^\d{1,10}$/.test(text) ? text : undefined
}

/** The path itself, or the nearest one above it that exists. */
export const nearest = (path: string): string =>
  fs.existsSync(path) || Path.dirname(path) === path ? path : nearest(Path.dirname(path))

/** Why no files can be created in the directory; undefined if they can. */
export const deniedBy = (directory: string): string | undefined => {
  try {
    if (!fs.statSync(directory).isDirectory()) return "ENOTDIR"
    fs.accessSync(directory, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK)
    return undefined
  } catch (error) {
    return codeOf(error)
  }
}

/** The reason, since mkdir(2) names a wrong one for a path below a read-only mount. */
const whyNot = (path: string, cause: unknown): string => {
  const parent = nearest(path)
  const denied = deniedBy(parent)
  return denied === undefined || parent === path
    ? (cause as Error).message
    : `nothing can be made in ${parent} (${denied})`
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error)
