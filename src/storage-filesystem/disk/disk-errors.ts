/**
 * Turns a failed system call, or a commit that does not fit into a log, into an error for the client that appends or reads:
 * a sentence that says the next step.
 */
import { Exit } from "effect"
import type { StorageError } from "../../domain/errors.ts"
import { StorageFailed, StorageFull, StorageUnavailable } from "../../domain/errors.ts"
import type { StreamName } from "../../domain/types.ts"
import type { Encoded } from "../format/record-codec.ts"
import { DoesNotFit } from "../format/record-codec.ts"
import type { DiskFailure } from "./disk.ts"

export const toStorageError = (
  doing: string,
  name: StreamName | undefined,
  failure: DiskFailure
): StorageError | StorageFull => {
  const { call, code, path } = failure
  if (full.has(code)) {
    const where = `${call} of ${path} failed with ${code}`
    return new StorageFull({
      message: `Could not ${actionOf(doing, name)}: no space is left (${where}). ` +
        "Nothing was stored; free some space and try again."
    })
  }
  return toReadError(doing, name, failure)
}

/** The error of an operation that stores nothing: for it a full disk is a failure like any other. */
export const toReadError = (
  doing: string,
  name: StreamName | undefined,
  { call, code, path }: DiskFailure
): StorageError => {
  const reason = reasons[code]
  const message = `Could not ${actionOf(doing, name)}: ${reason ?? "the disk failed"} ` +
    `(${call} of ${path} failed with ${code}).`
  return reason === undefined ? new StorageFailed({ message }) : new StorageUnavailable({ message })
}

/** Runs `encode`; fails with a sentence if the commit does not fit into a log. */
export const tryEncode = <A extends Encoded>(
  doing: string,
  name: StreamName,
  encode: () => A
): Exit.Exit<A, StorageFailed> => {
  try {
    return Exit.succeed(encode())
  } catch (error) {
    if (!(error instanceof DoesNotFit)) throw error
    return Exit.fail(new StorageFailed({ message: `Could not ${actionOf(doing, name)}: ${error.message}` }))
  }
}

const actionOf = (doing: string, name: StreamName | undefined) =>
  name === undefined ? doing : `${doing} ${JSON.stringify(name)}`

/** No space, no quota, or over the process's file size limit. */
const full = new Set(["ENOSPC", "EDQUOT", "EFBIG"])

/** Whether a call with this errno name failed for lack of room. */
export const isFull = (code: string): boolean => full.has(code)

/** Failures that a person can end, with nothing lost. */
const reasons: Readonly<Record<string, string>> = {
  EROFS: "the file system is read-only",
  EACCES: "this user may not use the file",
  ELOOP: "its log is a link, which is not followed",
  EPERM: "this user may not use the file",
  ETIMEDOUT: "the disk has not answered for ten seconds",
  EMFILE: "too many files are open; raise ulimit -n",
  ENFILE: "too many files are open on this machine",
  EFTYPE: "it is no regular file; take it away, or put the log there",
  ENOENT: "the data directory is not there any more"
}
