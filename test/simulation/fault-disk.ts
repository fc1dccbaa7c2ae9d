/**
 * A disk in memory that fails, tears and forgets as real ones do, and does so the same way every time for the same
 * choices.
 *
 * A file has the bytes that a process reads and the bytes that are on the medium; the writes since the last flush are
 * the difference. A directory has entries that are seen and entries that are on the medium. `crash` returns the disk
 * that the next process finds.
 */
import { Effect } from "effect"
import * as Path from "node:path"
import type { Disk, DiskFile } from "../../src/storage-filesystem/disk/disk.ts"
import { DiskFailure } from "../../src/storage-filesystem/disk/disk.ts"

export type Call = keyof DiskFile | keyof Disk

/**
 * The effect of a crash on the bytes that were never flushed. `prefix`: the first ones are there, up to some byte;
 * `sectors`: any 512-byte blocks are there, zeros elsewhere; `size-only`: the file keeps its length, with zeros in it;
 * `nothing`: all are lost; `everything`: all are there.
 */
export type CrashMode = "prefix" | "sectors" | "size-only" | "nothing" | "everything"

export const crashModes: ReadonlyArray<CrashMode> = ["prefix", "sectors", "size-only", "nothing", "everything"]

/** Returns a number from 0 up to and without `below`. */
export type Choose = (below: number) => number

/** Returns choices that a seed determines (mulberry32). */
export const choosing = (seed: number): Choose => {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * below)
  }
}

type Change =
  | { readonly kind: "write"; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly size: number }

interface Inode {
  seen: Buffer
  durable: Buffer
  pending: Array<Change>
}

/** The entry `to` leads to the inode, or to nothing; `from` leads to nothing afterwards. */
interface EntryChange {
  readonly from: string | undefined
  readonly to: string | undefined
  readonly inode: Inode
}

const sector = 512

export class FaultDisk implements Disk {
  /** Runs before every call. If it fails or waits, the call does. */
  before: (call: Call, path: string) => Effect.Effect<void, DiskFailure> = () => Effect.void
  /** The number of bytes that can still be written. */
  space = Infinity
  /** The number of flushes of a file that succeed before one fails. */
  flushesUntilFailure = Infinity
  /** The number of open descriptors. */
  opened = 0

  #seen = new Map<string, Inode>()
  #durable = new Map<string, Inode>()
  #pending: Array<EntryChange> = []
  #stamps = new Map<string, number>()
  #changes = 0

  /** Returns a disk that holds these files, durable. */
  static holding(files: Readonly<Record<string, Uint8Array>>): FaultDisk {
    const disk = new FaultDisk()
    for (const [path, bytes] of Object.entries(files)) {
      const inode = { seen: Buffer.from(bytes), durable: Buffer.from(bytes), pending: [] }
      disk.#seen.set(path, inode)
      disk.#durable.set(path, inode)
    }
    return disk
  }

  /** The files as a process sees them. */
  get files(): Readonly<Record<string, Buffer>> {
    return Object.fromEntries([...this.#seen].map(([path, { seen }]) => [path, Buffer.from(seen)]))
  }

  /**
   * Returns the disk that the next process finds if the power fails now. The directory and each file may have a mode of
   * its own.
   */
  crash(mode: CrashMode | "each its own", choose: Choose): FaultDisk {
    const modeOf = () => mode === "each its own" ? crashModes[choose(crashModes.length)]! : mode
    const entries = new Map(this.#durable)
    const entriesMode = modeOf()
    for (const change of this.#pending) {
      if (entriesMode === "everything" || (entriesMode !== "nothing" && choose(2) === 1)) applyEntry(entries, change)
    }
    const files: Record<string, Buffer> = {}
    for (const [path, inode] of entries) files[path] = survivingBytes(inode, modeOf(), choose)
    return FaultDisk.holding(files)
  }

  readonly open = (path: string) =>
    this.#call("open", path, () => {
      const inode = this.#seen.get(path)
      if (inode === undefined) throw code("ENOENT")
      return this.#file(path, inode)
    })

  readonly create = (path: string) =>
    this.#call("create", path, () => {
      const inode: Inode = { seen: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] }
      this.#change({ from: undefined, to: path, inode })
      return this.#file(path, inode)
    })

  readonly rename = (from: string, to: string) =>
    this.#call("rename", from, () => {
      const inode = this.#seen.get(from)
      if (inode === undefined) throw code("ENOENT")
      this.#change({ from, to, inode })
    })

  /** A crash neither keeps nor loses file times here: they only say when a stream was last used. */
  readonly stamp = (path: string, at: number) =>
    this.#call("stamp", path, () => {
      if (!this.#seen.has(path)) throw code("ENOENT")
      this.#stamps.set(path, at)
    })

  /** The time of a directory is the number of entry changes on the disk. */
  readonly stampOf = (path: string) =>
    this.#call("stampOf", path, () => this.#stamps.get(path) ?? (this.#seen.has(path) ? 0 : this.#changes))

  readonly remove = (path: string) =>
    // The call has the name that the real disk's failure has.
    this.#call("remove", path, () => {
      const inode = this.#seen.get(path)
      if (inode === undefined) throw code("ENOENT")
      this.#change({ from: path, to: undefined, inode })
    }, "unlink")

  readonly list = (directory: string) =>
    this.#call(
      "list",
      directory,
      () => [...this.#seen.keys()].filter((path) => Path.dirname(path) === directory).map((path) => Path.basename(path))
    )

  readonly makeDirectory = (path: string) => this.#call("makeDirectory", path, () => undefined)

  readonly flushDirectory = (path: string) =>
    this.#call("flushDirectory", path, () => {
      for (const change of this.#pending) applyEntry(this.#durable, change)
      this.#pending = []
    })

  #change(change: EntryChange) {
    this.#changes++
    applyEntry(this.#seen, change)
    this.#pending.push(change)
  }

  #file(path: string, inode: Inode): DiskFile {
    let closed = false
    this.opened++
    const call = <A>(name: keyof DiskFile, run: () => A) =>
      Effect.suspend(() => {
        // By now the descriptor's number can belong to another file: no call may ever come here.
        if (closed) return Effect.die(new Error(`${name} on a closed descriptor of ${path}`))
        return this.#call(name, path, run)
      })
    const change = (made: Change) => {
      inode.seen = apply(inode.seen, made)
      inode.pending.push(made)
    }
    return {
      read: (into, length, position) =>
        call("read", () => inode.seen.copy(into, 0, position, Math.min(position + length, inode.seen.length))),
      write: (bytes, position) =>
        call("write", () => {
          const fitting = Math.min(bytes.length, this.space)
          this.space -= fitting
          change({ kind: "write", position, bytes: Buffer.from(bytes.subarray(0, fitting)) })
          if (fitting < bytes.length) throw code("ENOSPC")
        }),
      // A flush counts for the writes before it began, whenever it returns.
      flush: Effect.suspend(() => {
        const begun = new Set(inode.pending)
        return call("flush", () => {
          if (this.flushesUntilFailure-- === 0) {
            // The pages are marked clean: reads see them until the crash, and no later flush writes them.
            inode.pending = inode.pending.filter((change) => change.kind === "truncate")
            throw code("EIO")
          }
          inode.durable = inode.pending.filter((change) => begun.has(change)).reduce(apply, inode.durable)
          inode.pending = inode.pending.filter((change) => !begun.has(change))
        })
      }),
      truncate: (size) => call("truncate", () => change({ kind: "truncate", size })),
      size: call("size", () => inode.seen.length),
      links: call("links", () => [...this.#seen.values()].includes(inode) ? 1 : 0),
      close: call("close", () => {
        this.opened--
        closed = true
      }).pipe(Effect.orDie)
    }
  }

  #call<A>(name: Call, path: string, run: () => A, called: string = name): Effect.Effect<A, DiskFailure> {
    return Effect.andThen(
      Effect.suspend(() => this.before(name, path)),
      Effect.suspend(() => {
        try {
          return Effect.succeed(run())
        } catch (error) {
          return Effect.fail(failing(called, path, (error as { readonly code: string }).code))
        }
      })
    )
  }
}

export const failing = (call: string, path: string, code: string): DiskFailure =>
  new DiskFailure({ code, call, path, cause: undefined })

const code = (code: string) => Object.assign(new Error(code), { code })

const applyEntry = (entries: Map<string, Inode>, { from, inode, to }: EntryChange) => {
  if (from !== undefined) entries.delete(from)
  if (to !== undefined) entries.set(to, inode)
}

const apply = (bytes: Buffer, change: Change): Buffer => {
  if (change.kind === "truncate") {
    return change.size <= bytes.length ? Buffer.from(bytes.subarray(0, change.size)) : grow(bytes, change.size)
  }
  const after = grow(bytes, Math.max(bytes.length, change.position + change.bytes.length))
  change.bytes.copy(after, change.position)
  return after
}

const grow = (bytes: Buffer, size: number): Buffer => Buffer.concat([bytes], size)

const survivingBytes = (inode: Inode, mode: CrashMode, choose: Choose): Buffer => {
  const { durable, pending } = inode
  switch (mode) {
    case "nothing":
      return durable
    case "everything":
      return pending.reduce(apply, durable)
    case "size-only": {
      const { length } = pending.reduce(apply, durable)
      return grow(durable.subarray(0, length), length)
    }
    case "prefix": {
      let left = choose(pending.reduce((sum, change) => sum + cost(change), 0) + 1)
      let bytes = durable
      for (const change of pending) {
        bytes = apply(bytes, part(change, left))
        left -= cost(change)
        if (left <= 0) break
      }
      return bytes
    }
    case "sectors": {
      const bytes = pending.flatMap(sectorsOf).filter(() => choose(2) === 1).reduce(apply, durable)
      const size = pending.reduce(apply, durable).length
      return choose(2) === 1 && size > bytes.length ? grow(bytes, size) : bytes
    }
  }
}

const cost = (change: Change): number => change.kind === "write" ? change.bytes.length : 1

const part = (change: Change, bytes: number): Change =>
  change.kind === "write" ? { ...change, bytes: change.bytes.subarray(0, Math.max(0, bytes)) } : change

const sectorsOf = (change: Change): Array<Change> => {
  if (change.kind === "truncate") return [change]
  const parts: Array<Change> = []
  for (let at = 0; at < change.bytes.length;) {
    const position = change.position + at
    const to = Math.min(at + sector - position % sector, change.bytes.length)
    parts.push({ kind: "write", position, bytes: change.bytes.subarray(at, to) })
    at = to
  }
  return parts
}
