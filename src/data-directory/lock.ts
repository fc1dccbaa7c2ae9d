/**
 * A lock that the kernel holds for this process and frees when the process dies, however it dies (promise 9): an exclusive
 * transaction on a SQLite file. A pid file could not promise that.
 */
import { Data, Effect, type Scope } from "effect"
import * as fs from "node:fs"
import { giveToOwner } from "./data-directory.ts"
import { DaemonFailed } from "./paths.ts"

/**
 * Takes the lock until the scope closes; false if another process has it. This process must not open the file by any other
 * means: closing any descriptor of the file would drop the lock (fcntl(2)).
 */
export const tryLock = (path: string): Effect.Effect<boolean, DaemonFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const { DatabaseSync } = yield* Effect.promise(loadSqlite)
    const database = yield* Effect.try({
      try: () => {
        if (!fs.existsSync(path)) {
          fs.closeSync(fs.openSync(path, createOnly, 0o600))
          giveToOwner(path)
        }
        return new DatabaseSync(path)
      },
      catch: (cause) => unusable(path, cause)
    })
    const locked = yield* Effect.try({
      try: () => {
        // SQLite's journal in memory: a file of its own would need room, and the disk may be full.
        database.exec(
          "PRAGMA busy_timeout=0; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE"
        )
        return true
      },
      catch: (cause) => isBusy(cause) ? new Busy() : unusable(path, cause)
    }).pipe(
      Effect.catchTag("Busy", () => Effect.succeed(false)),
      Effect.onError(() => Effect.sync(() => database.close()))
    )
    if (locked) yield* Effect.addFinalizer(() => Effect.sync(() => database.close()))
    else database.close()
    return locked
  })

/** Fails if anything exists at the path, so a link is not followed. */
const createOnly = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW

/** Whether a process has the lock: this one tries to take it for a moment. "unknown" if it cannot even try. */
export const lockState = (path: string): Effect.Effect<"free" | "held" | "unknown"> =>
  Effect.suspend(() => {
    // A missing file is not locked, and the question must not create it.
    if (!fs.existsSync(path)) return Effect.succeed("free" as const)
    return Effect.scoped(tryLock(path)).pipe(
      Effect.map((taken) => taken ? "free" : "held"),
      Effect.orElseSucceed(() => "unknown" as const)
    )
  })

/** The process that holds a lock on the file; undefined if the system does not tell. */
export const holderOf = (path: string): number | undefined => {
  try {
    const { dev, ino } = fs.statSync(path, { bigint: true })
    const [major, minor] = [(dev >> 8n) & 0xfffn, (dev & 0xffn) | ((dev >> 12n) & 0xfff00n)]
    const key = `${hex(major)}:${hex(minor)}:${ino}`
    const line = fs.readFileSync("/proc/locks", "utf8").split("\n").map((line) => line.split(/\s+/))
      .find((fields) => fields.includes(key) && fields.includes("WRITE") && !fields.includes("->"))
    const pid = Number(line?.[line.indexOf(key) - 1])
    // 0 and below: a process that this one cannot see.
    return pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}

const hex = (value: bigint): string => value.toString(16).padStart(2, "0")

/** SQLITE_BUSY: another process has the lock. */
const isBusy = (cause: unknown): boolean => (cause as { readonly errcode?: number }).errcode === 5

class Busy extends Data.TaggedError("Busy") {}

const unusable = (path: string, cause: unknown) =>
  new DaemonFailed({
    message: `Could not lock ${path}: ${cause instanceof Error ? cause.message : String(cause)}. ` +
      "Is the data directory there, and may this user write to it?"
  })

/** Older Nodes warn that `node:sqlite` is experimental; the part used here has not changed since. */
const loadSqlite = async () => {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return await import("node:sqlite")
  } finally {
    process.emitWarning = emitWarning
  }
}
