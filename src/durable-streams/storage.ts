/**
 * The storage contract, and the backend that keeps everything in memory.
 *
 * The unit is the commit: what one append, or several that share a flush, makes true at once. A commit is whole or
 * absent after any failure, and once `commit` has succeeded it survives what the backend's durability says.
 * Promises 1, 2, 3 and 10 of docs/promises.md rest here.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { emptyBlock } from "./event-block.ts"
import type { EventBlock, LogDamaged, StorageFailed, StorageFull, StreamName } from "./types.ts"
import { StreamNotFound } from "./types.ts"

/** What a stream was made with. It never changes while the stream exists. */
export interface StreamDescription {
  readonly name: StreamName
  readonly contentType: string
  readonly createdAt: string
}

export interface Commit {
  /** The new events; their first offset is the log's tail. May be empty when only `state` changes. */
  readonly events: EventBlock
  /**
   * What must not be torn from the events (the closing of the stream; a producer's number): one line of JSON text.
   * It replaces the state of the commit before, so the newest commit alone says how things stand.
   */
  readonly state: string | undefined
}

/** One open log. Its owner calls `commit` for one commit at a time; reads may run beside it. */
export interface Log {
  readonly description: StreamDescription
  /** The next offset to be given, when the log was opened. */
  readonly tail: number
  /** The state of the newest commit, when the log was opened. */
  readonly state: string | undefined

  /**
   * Appends the commit. Success: it is durable. Failure: it is absent, and the log is as it was before, or is
   * brought back to that before the next commit is accepted. `StreamNotFound`: somebody took the log away.
   */
  readonly commit: (commit: Commit) => Effect.Effect<void, StorageFailed | StorageFull | StreamNotFound>

  /**
   * Events from offset `from` on: at least one, and then as many whole ones as fit into about `bytesMax`. The caller
   * asks only for offsets below the tail it knows; events of a commit under way are never in the answer if the caller
   * cuts it at that tail. Fails with `LogDamaged` when the event at `from` cannot be served.
   */
  readonly read: (from: number, bytesMax: number) => Effect.Effect<EventBlock, StorageFailed | LogDamaged>
}

export class Storage extends Context.Service<Storage, {
  /** What `/health` calls this backend. */
  readonly kind: string

  /** Opens an existing log, in a time that does not depend on its length. Closes with the scope. */
  open(name: StreamName): Effect.Effect<Log, StreamNotFound | StorageFailed | LogDamaged, Scope.Scope>

  /** Makes a log with its first commit, both or neither. The caller knows that no log of that name exists. */
  create(
    description: StreamDescription,
    first: Commit
  ): Effect.Effect<Log, StorageFailed | StorageFull, Scope.Scope>

  /** Every stream's name, sorted by UTF-16 code units. Opens no log. */
  readonly list: Effect.Effect<ReadonlyArray<StreamName>, StorageFailed>

  /** Forgets the log for good. The caller has closed it or holds its only writer. */
  delete(name: StreamName): Effect.Effect<void, StreamNotFound | StorageFailed>
}>()("durable-streams/storage") {
  /** Keeps logs while the process lives. */
  static readonly layerMemory: Layer.Layer<Storage> = Layer.sync(Storage, () => {
    const logs = new Map<StreamName, MemoryLog>()

    return Storage.of({
      kind: "memory",
      open: (name) =>
        Effect.suspend(() => {
          const log = logs.get(name)
          return log === undefined ? Effect.fail(new StreamNotFound({ stream: name })) : Effect.succeed(log.reopened())
        }),
      create: (description, first) =>
        Effect.sync(() => {
          const log = new MemoryLog(description)
          log.append(first)
          logs.set(description.name, log)
          return log.reopened()
        }),
      list: Effect.sync(() => [...logs.keys()].toSorted()),
      delete: (name) =>
        Effect.suspend(() => logs.delete(name) ? Effect.void : Effect.fail(new StreamNotFound({ stream: name })))
    })
  })
}

/** Bytes of one slab: large enough that a catch-up is few reads, small enough that a quiet stream wastes little. */
const slabBytes = 64 * 1024

/** A growing block: events are copied in until it is full. */
interface Slab {
  readonly first: number
  readonly bytes: Uint8Array
  readonly starts: Array<number>
  readonly ends: Array<number>
  used: number
}

class MemoryLog {
  readonly #slabs: Array<Slab> = []
  #tail = 0
  #state: string | undefined
  readonly description: StreamDescription

  constructor(description: StreamDescription) {
    this.description = description
  }

  append({ events, state }: Commit): void {
    for (let i = 0; i < events.count; i++) {
      const start = events.starts[i]!
      const length = events.ends[i]! - start
      const slab = this.#room(length)
      slab.bytes.set(events.bytes.subarray(start, start + length), slab.used)
      slab.starts.push(slab.used)
      slab.used += length
      slab.ends.push(slab.used)
      this.#tail++
    }
    this.#state = state
  }

  reopened(): Log {
    return {
      description: this.description,
      tail: this.#tail,
      state: this.#state,
      commit: (commit) => Effect.sync(() => this.append(commit)),
      read: (from) => Effect.sync(() => this.#read(from))
    }
  }

  /** One slab at the most: they are about as long as a read wants to be. */
  #read(from: number): EventBlock {
    let low = 0
    let high = this.#slabs.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#slabs[middle]!.first <= from) low = middle
      else high = middle - 1
    }
    const slab = this.#slabs[low]
    if (slab === undefined || from >= this.#tail) return emptyBlock(from)
    const skip = from - slab.first
    // Copies of the positions: the slab goes on growing, a block never does.
    const starts = slab.starts.slice(skip)
    return { first: from, count: starts.length, bytes: slab.bytes, starts, ends: slab.ends.slice(skip) }
  }

  #room(length: number): Slab {
    const last = this.#slabs.at(-1)
    if (last !== undefined && last.used + length <= last.bytes.length) return last
    // A stream's first slab is small: most streams stay small.
    const size = Math.max(length, last === undefined ? slabBytes / 16 : slabBytes)
    const slab = { first: this.#tail, bytes: new Uint8Array(size), starts: [], ends: [], used: 0 }
    this.#slabs.push(slab)
    return slab
  }
}
