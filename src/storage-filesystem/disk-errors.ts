/**
 * What a failed system call means to somebody who appends or reads: a sentence with the next step in it.
 */
import { StorageFailed, StorageFull } from "../durable-streams/errors.ts"
import type { StreamName } from "../durable-streams/types.ts"
import type { DiskFailure } from "./disk.ts"

export const toStorageError = (
  doing: string,
  name: StreamName | undefined,
  { call, code, path }: DiskFailure
): StorageFailed | StorageFull => {
  const what = name === undefined ? doing : `${doing} ${JSON.stringify(name)}`
  const where = `${call} of ${path} failed with ${code}`
  if (full.has(code)) {
    return new StorageFull({
      message: `Could not ${what}: no space is left (${where}). Nothing was stored; free some space and try again.`
    })
  }
  return new StorageFailed({ message: `Could not ${what}: ${reasons[code] ?? "the disk failed"} (${where}).` })
}

/** The same where nothing was to be stored: there a full disk is a failure like any other. */
export const toReadError = (doing: string, name: StreamName | undefined, failure: DiskFailure): StorageFailed => {
  const error = toStorageError(doing, name, failure)
  return error._tag === "StorageFailed" ? error : new StorageFailed({ message: error.message })
}

/** No space, no quota, or over the process's file size limit. */
const full = new Set(["ENOSPC", "EDQUOT", "EFBIG"])

const reasons: Readonly<Record<string, string>> = {
  EROFS: "the file system is read-only",
  EACCES: "this user may not use the file",
  EPERM: "this user may not use the file",
  EMFILE: "too many files are open; raise ulimit -n",
  ENFILE: "too many files are open on this machine",
  ENOENT: "the data directory is not there any more"
}
