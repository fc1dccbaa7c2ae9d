/**
 * Whether a data directory can be trusted (promise 12; docs/decisions/0014-directories-of-others.md). The default directory
 * lies in the current folder, which an archive, a cloned repository or another user may have filled. The server and the
 * commands refuse it if a place where they write is a link, belongs to another user, or is writable for every user.
 */
import { Data, Effect, Runtime } from "effect"
import * as fs from "node:fs"
import * as Path from "node:path"
import { exitCodes } from "../domain/exit-codes.ts"
import { defaultDirectory, filesOf, quoted, requireAbsolute, resolveDirectory } from "./paths.ts"

/** The directory, or a file in it, is not this user's own. Nothing in it was read or changed. */
export class DataDirectoryNotTrusted extends Data.TaggedError("DataDirectoryNotTrusted")<{
  readonly path: string
  readonly reason: string
  readonly advice: string
}> {
  override readonly [Runtime.errorExitCode] = exitCodes.notAllowed

  override get message() {
    return `The data directory is not used, because ${this.path} ${this.reason}. ${this.advice}`
  }
}

/** Fails if the directory exists and is not this user's own. Checks its entries, not each log. */
export const refuseForeign = (dataDirectory: string): Effect.Effect<void, DataDirectoryNotTrusted> =>
  Effect.suspend(() => {
    requireAbsolute(dataDirectory)
    const found = foreign(dataDirectory)
    return found === undefined ? Effect.void : Effect.fail(new DataDirectoryNotTrusted(found))
  })

type Foreign = ConstructorParameters<typeof DataDirectoryNotTrusted>[0]

const foreign = (dataDirectory: string): Foreign | undefined => {
  // Windows has other owners and modes.
  if (process.platform === "win32") return undefined
  const itself = lstat(dataDirectory)
  if (itself === undefined) return undefined
  const refused = itself.isSymbolicLink() ? foreignLink(dataDirectory, itself) : judge(dataDirectory, itself)
  if (refused !== undefined) return refused
  const places = placesOf(dataDirectory)
  return places.map(foreignPlace).find((found) => found !== undefined) ?? clonedSubscriptions(dataDirectory)
}

/**
 * Subscriptions call addresses as soon as a server starts. A server creates `streams` for its user alone, and git does not keep
 * such a mode: if `streams` in the current folder is open to others, the folder was cloned. A directory that the user names
 * is the user's own choice.
 */
const clonedSubscriptions = (dataDirectory: string): Foreign | undefined => {
  if (dataDirectory !== resolveDirectory(defaultDirectory)) return undefined
  const { streams } = filesOf(dataDirectory)
  if (((lstat(streams)?.mode ?? 0) & 0o007) === 0) return undefined
  return !entriesOf(streams).some((name) => name.startsWith(subscriptionLogs)) ? undefined : {
    path: streams,
    reason: "has subscriptions, which call the addresses that they name, and was not made by a server of this user",
    advice: `If you trust them: chmod -R go-rwx ${quoted(dataDirectory)}`
  }
}

/** How the file names of subscriptions' logs begin (docs/storage-format.md 8). */
const subscriptionLogs = "__ds%2Fsubscriptions%2F"

/** Every path at which a server or a command writes, except the logs: a log is opened without following a link. */
const placesOf = (dataDirectory: string): ReadonlyArray<string> => {
  const files = filesOf(dataDirectory)
  const { keys, lock, reserve, startLock } = files
  return [
    ...Object.values(files),
    // The journal's two areas, and the file that probes the disk (docs/storage-format.md 1).
    Path.join(dataDirectory, "journal.0"),
    Path.join(dataDirectory, "journal.1"),
    Path.join(files.streams, "probe"),
    // SQLite may write these beside a lock.
    `${lock}-journal`,
    `${startLock}-journal`,
    ...[keys, reserve].flatMap((directory) => entriesOf(directory).map((name) => Path.join(directory, name)))
  ]
}

const foreignPlace = (path: string): Foreign | undefined => {
  const stats = lstat(path)
  if (stats === undefined) return undefined
  if (stats.isSymbolicLink()) {
    return { path, reason: "is a link, which could lead anywhere", advice: takeAway(path) }
  }
  if (!stats.isFile() && !stats.isDirectory()) {
    return { path, reason: "is neither a file nor a directory", advice: takeAway(path) }
  }
  return judge(path, stats)
}

/** This user's link is this user's choice if it leads to a data directory of this user, or to an empty directory. */
const foreignLink = (path: string, link: fs.Stats): Foreign | undefined => {
  if (!isOurs(link.uid)) return judge(path, link)
  let target: fs.Stats
  try {
    target = fs.statSync(path)
  } catch {
    // Creating the directory reports a link to nothing.
    return undefined
  }
  const refused = judge(path, target)
  if (refused !== undefined || !target.isDirectory()) return refused
  const entries = entriesOf(path)
  return entries.length === 0 || entries.includes("lock") || entries.includes("start.lock") ? undefined : {
    path,
    reason: `is a link to ${fs.realpathSync(path)}, which is no data directory`,
    advice: `If that is what you want, name it: --data-dir ${quoted(fs.realpathSync(path))}`
  }
}

const judge = (path: string, { mode, uid }: fs.Stats): Foreign | undefined => {
  const us = process.geteuid?.()
  if (!isOurs(uid)) {
    return {
      path,
      reason: `belongs to user ${uid}, and this is user ${us}`,
      advice: "Choose a directory of your own with --data-dir, or run as that user."
    }
  }
  // A group may write: volumes are often shared with a group on purpose.
  return (mode & 0o002) === 0 ? undefined : {
    path,
    reason: "can be written by every user of this machine",
    advice: `Close it: chmod o-w ${
      quoted(path)
    }. Or choose another with --data-dir, such as one that is made inside of it.`
  }
}

/** This user's, or the superuser's: the superuser can do anything anyway, and may use every user's directory. */
const isOurs = (uid: number): boolean => {
  const us = process.geteuid?.()
  return us === 0 || uid === us || uid === 0
}

const takeAway = (path: string): string =>
  `Take it away: rm ${quoted(path)}. If the directory came with somebody else's files, choose another with --data-dir.`

const lstat = (path: string): fs.Stats | undefined => {
  try {
    return fs.lstatSync(path)
  } catch {
    return undefined
  }
}

const entriesOf = (directory: string): ReadonlyArray<string> => {
  try {
    return fs.readdirSync(directory)
  } catch {
    return []
  }
}
