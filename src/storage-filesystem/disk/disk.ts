/**
 * The narrow port between our logs and a disk: just the calls whose order and failure matter. The real disk is below; the
 * tests have a disk that fails, tears and forgets.
 */
import { Data, Effect } from "effect"
import * as fs from "node:fs"
import * as Path from "node:path"

/** A system call failed. `code` is its errno name, such as `ENOSPC`. */
export class DiskFailure extends Data.TaggedError("DiskFailure")<{
  readonly code: string
  readonly call: string
  readonly path: string
  readonly cause: unknown
}> {}

/** Whether a call failed because the file does not exist. */
export const isMissing = (failure: DiskFailure): boolean => failure.code === "ENOENT"

/** Removes a file if it exists. */
export const removeIfThere = (disk: Disk, path: string): Effect.Effect<void, DiskFailure> =>
  Effect.catchIf(disk.remove(path), isMissing, () => Effect.void)

export interface DiskFile {
  /** Reads `length` bytes into the front of `into`, fewer only at the end of the file. Returns how many. */
  readonly read: (into: Uint8Array, length: number, position: number) => Effect.Effect<number, DiskFailure>
  /** Writes all bytes; when it fails, any part of them may be in the file. */
  readonly write: (bytes: Uint8Array, position: number) => Effect.Effect<void, DiskFailure>
  /** Puts every byte written before the call on the medium (fdatasync). */
  readonly flush: Effect.Effect<void, DiskFailure>
  readonly truncate: (size: number) => Effect.Effect<void, DiskFailure>
  readonly size: Effect.Effect<number, DiskFailure>
  /** How many directory entries lead to this file: 0 after it was removed. Does not wait for the medium. */
  readonly links: Effect.Effect<number, DiskFailure>
  /** Closes once the calls under way have returned. */
  readonly close: Effect.Effect<void>
}

export interface Disk {
  readonly open: (path: string) => Effect.Effect<DiskFile, DiskFailure>
  /** Creates an empty file (mode 0600), in place of an existing one. */
  readonly create: (path: string) => Effect.Effect<DiskFile, DiskFailure>
  readonly rename: (from: string, to: string) => Effect.Effect<void, DiskFailure>
  readonly remove: (path: string) => Effect.Effect<void, DiskFailure>
  /** Sets a file's modification time, in milliseconds since 1970. */
  readonly stamp: (path: string, at: number) => Effect.Effect<void, DiskFailure>
  /** A file's modification time, in milliseconds since 1970. */
  readonly stampOf: (path: string) => Effect.Effect<number, DiskFailure>
  readonly list: (directory: string) => Effect.Effect<ReadonlyArray<string>, DiskFailure>
  /** Creates the directory and those above it, durably. */
  readonly makeDirectory: (path: string) => Effect.Effect<void, DiskFailure>
  /** Makes the directory's entries durable: a file's own flush does not (fsync(2)). */
  readonly flushDirectory: (path: string) => Effect.Effect<void, DiskFailure>
}

const failure = (call: string, path: string, cause: unknown) =>
  new DiskFailure({ code: (cause as NodeJS.ErrnoException).code ?? "UNKNOWN", call, path, cause })

const call = <A = void>(
  name: string,
  path: string,
  start: (done: (error: Error | null, value?: A) => void) => void
): Effect.Effect<A, DiskFailure> =>
  // A system call cannot be taken back: an interrupted caller still waits for it.
  Effect.uninterruptible(Effect.callback((resume) =>
    start((error, value) =>
      resume(error === null ? Effect.succeed(value as A) : Effect.fail(failure(name, path, error)))
    )
  ))

/**
 * A write of up to this many bytes blocks: copying it into the kernel's memory takes a microsecond, and a tenth of a
 * millisecond at this size, while another thread would cost 9 to 30 microseconds
 * (docs/decisions/0009-one-flush-for-many-logs.md).
 */
const blockingBytesMax = 256 * 1024

const toFile = (fd: number, path: string): DiskFile => {
  let calls = 0
  let closing: (() => void) | undefined
  const closeNow = () => fs.close(fd, () => closing?.())

  /** A descriptor closed under a call could be another file by the time the call runs. */
  const held = <A = void>(name: string, start: (done: (error: Error | null, value?: A) => void) => void) =>
    call<A>(name, path, (done) => {
      calls++
      start((error, value) => {
        calls--
        // Before the answer: its receiver may close the file at once, and the file must be closed only once.
        if (calls === 0 && closing !== undefined) closeNow()
        done(error, value)
      })
    })

  return {
    read: (into, length, position) => held("read", (done) => readAll(fd, into, length, position, 0, done)),
    write: (bytes, position) =>
      bytes.length <= blockingBytesMax
        ? Effect.try({
          try: () => writeAllNow(fd, bytes, position),
          catch: (error) => failure("write", path, error)
        })
        : held("write", (done) => writeAll(fd, bytes, 0, position, done)),
    flush: held("fdatasync", (done) => fs.fdatasync(fd, done)),
    truncate: (size) => held("ftruncate", (done) => fs.ftruncate(fd, size, done)),
    size: held<number>("fstat", (done) => fs.fstat(fd, (error, stats) => done(error, stats?.size))),
    links: Effect.try({ try: () => fs.fstatSync(fd).nlink, catch: (error) => failure("fstat", path, error) }),
    close: Effect.callback<void>((resume) => {
      closing = () => resume(Effect.void)
      if (calls === 0) closeNow()
    })
  }
}

type Done<A = void> = (error: Error | null, value?: A) => void

const readAll = (fd: number, into: Uint8Array, length: number, position: number, got: number, done: Done<number>) =>
  fs.read(fd, into, got, length - got, position + got, (error, count) => {
    if (error !== null) return done(error)
    if (count === 0 || got + count === length) return done(null, got + count)
    readAll(fd, into, length, position, got + count, done)
  })

const writeAll = (fd: number, bytes: Uint8Array, from: number, position: number, done: Done) =>
  fs.write(fd, bytes, from, bytes.length - from, position + from, (error, count) => {
    if (error !== null) return done(error)
    // A disk that is almost full writes a part; the next call says why.
    if (from + count < bytes.length) return writeAll(fd, bytes, from + count, position, done)
    done(null)
  })

/** The same, blocking. */
const writeAllNow = (fd: number, bytes: Uint8Array, position: number): void => {
  for (let from = 0; from < bytes.length;) {
    from += fs.writeSync(fd, bytes, from, bytes.length - from, position + from)
  }
}

const { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC } = fs.constants
/** Without it, opening a pipe waits for a writer, and the process can only be killed. */
const O_NONBLOCK = fs.constants.O_NONBLOCK ?? 0
/** A link in place of a log is not followed: it could lead out of the data directory (promise 12). */
const O_NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0

const openWith = (flags: number) => (path: string) =>
  Effect.flatMap(
    call<number>("open", path, (done) => fs.open(path, flags | O_NONBLOCK | O_NOFOLLOW, 0o600, done)),
    (fd) =>
      fs.fstatSync(fd).isFile()
        ? Effect.succeed(toFile(fd, path))
        : Effect.andThen(toFile(fd, path).close, noFile(path))
  )

/** Anything but a regular file holds no log, and may have no end. */
const noFile = (path: string) =>
  Effect.fail(new DiskFailure({ code: noRegularFile, call: "open", path, cause: undefined }))

/** Some systems have this errno name; on others no call fails with it. */
export const noRegularFile = "EFTYPE"

/** On a file system that turned read-only, logs can still be read; every write says why it fails. */
const openToReadAtLeast = (path: string) =>
  Effect.catchIf(
    openWith(O_RDWR)(path),
    ({ code }) => code === "EROFS",
    ({ cause, code }) =>
      Effect.map(openWith(O_RDONLY)(path), (file): DiskFile => ({
        ...file,
        write: () => Effect.fail(new DiskFailure({ code, call: "write", path, cause })),
        truncate: () => Effect.fail(new DiskFailure({ code, call: "ftruncate", path, cause })),
        flush: Effect.fail(new DiskFailure({ code, call: "fdatasync", path, cause }))
      }))
  )

/** Gives a file that root creates in a user's directory to that user: otherwise the user could not use it. */
const giveToOwner = (path: string): Effect.Effect<void> =>
  process.geteuid?.() !== 0 ? Effect.void : Effect.sync(() => {
    try {
      const { gid, uid } = fs.statSync(Path.dirname(path))
      if (uid !== 0) fs.lchownSync(path, uid, gid)
    } catch {
      // Some file systems have no owners: the file stays root's.
    }
  })

const flushDirectory: Disk["flushDirectory"] = (path) =>
  Effect.flatMap(call<number>("open", path, (done) => fs.open(path, "r", done)), (fd) =>
    Effect.ensuring(
      call("fsync", path, (done) => fs.fsync(fd, done)),
      Effect.ignore(call("close", path, (done) => fs.close(fd, done)))
    ))

/** The directories that got a new entry when `path` was created, from `first` on. */
const above = (path: string, first: string): ReadonlyArray<string> => {
  const parents = [Path.dirname(Path.resolve(path))]
  while (parents.at(-1)!.startsWith(Path.resolve(first))) parents.push(Path.dirname(parents.at(-1)!))
  return parents
}

export const nodeDisk: Disk = {
  open: openToReadAtLeast,
  create: (path) => Effect.tap(openWith(O_RDWR | O_CREAT | O_TRUNC)(path), () => giveToOwner(path)),
  rename: (from, to) => call("rename", from, (done) => fs.rename(from, to, done)),
  remove: (path) => call("unlink", path, (done) => fs.unlink(path, done)),
  stamp: (path, at) => call("utimes", path, (done) => fs.utimes(path, at / 1000, at / 1000, done)),
  stampOf: (path) => call<number>("stat", path, (done) => fs.stat(path, (error, stats) => done(error, stats?.mtimeMs))),
  list: (directory) => call("readdir", directory, (done) => fs.readdir(directory, done)),
  makeDirectory: (path) =>
    Effect.flatMap(
      call<string>("mkdir", path, (done) => fs.mkdir(path, { recursive: true, mode: 0o700 }, done)),
      (first) =>
        first === undefined
          ? Effect.void
          : Effect.andThen(giveToOwner(path), Effect.forEach(above(path, first), flushDirectory, { discard: true }))
    ),
  flushDirectory
}

/** The same disk for reading alone: it also reads a directory that cannot be written to. */
export const nodeDiskToRead: Disk = { ...nodeDisk, open: openWith(O_RDONLY) }
