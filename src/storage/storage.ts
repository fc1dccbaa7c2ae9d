/**
 * The storage contract, and the backend that keeps everything in memory.
 *
 * The unit is the commit: what one append, or several that share a flush, makes true at once. A commit is whole or
 * absent after any failure, and once `commit` has succeeded it survives what the backend's durability says.
 * Promises 1, 2, 3 and 10 of docs/promises.md rest here.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import type { StorageError, StorageFull, TooManyStreams } from "../domain/errors.ts"
import { LogDamaged, StreamNotFound } from "../domain/errors.ts"
import type { EventBlock, StreamName } from "../domain/types.ts"
import { toOffset } from "../domain/types.ts"
import { emptyBlock, sliceBlock } from "../event/event-block.ts"
import { GrowingBlock, sizeOf } from "../event/growing-block.ts"
import type { NamesWanted } from "./sorted-names.ts"
import { SortedNames } from "./sorted-names.ts"

/** What a stream was made with. It never changes while the stream exists. */
export interface StreamDescription {
  readonly name: StreamName
  /** As it was given; `isJson` says what kind of events it means. */
  readonly contentType: string
  /** RFC 3339, with milliseconds. */
  readonly createdAt: string
  /** Tells this life of the name from every other one. */
  readonly id: string
  /** It expires when it was not used for so many seconds. */
  readonly ttlSeconds?: number | undefined
  /** It expires then (RFC 3339, as it was given). */
  readonly expiresAt?: string | undefined
  readonly forkedFrom?: ForkOrigin | undefined
}

/** Where a fork left its source. */
export interface ForkOrigin {
  readonly stream: StreamName
  /** The source's id. */
  readonly id: string
  /** The fork's first own offset: what is before it is the source's. */
  readonly offset: number
  /** Bytes of the source's event at `offset` with which the fork's own first event was made; 0 where none was. */
  readonly bytes: number
}

/**
 * One entry of a stream's state: a key, and one line of JSON text; undefined takes it away. A commit changes the entries
 * it names and leaves the others.
 */
export type StateChange = readonly [key: string, value: string | undefined]

export interface Commit {
  /** The new events; their first offset is the log's tail. May be empty when only the state changes. */
  readonly events: EventBlock
  /** What must not be torn from the events: the closing of the stream, a producer's number. */
  readonly state: ReadonlyArray<StateChange>
}

/** Names of streams, in no order. */
export interface StreamsAtStart {
  /** Those that are not hidden. */
  readonly listed: ReadonlyArray<StreamName>
  /** Those that were made to expire. */
  readonly expiring: ReadonlyArray<StreamName>
}

/** One open log. Its owner calls `commit` for one commit at a time; reads may run beside it. */
export interface Log {
  readonly description: StreamDescription
  /** Deleted, and kept for its forks: neither listed nor to be made anew. */
  readonly hidden: boolean
  /** The next offset to be given, when the log was opened. A fork's own events begin where it left its source. */
  readonly tail: number
  /** The state after the newest durable commit: the log keeps it up to date, others only read it. */
  readonly state: ReadonlyMap<string, string>
  /** When the stream was last used, in milliseconds since 1970, as far as `touch` was told; 0 where it never was. */
  readonly touchedAt: number

  /**
   * Appends the commit. Success: it is durable. Failure: it is absent, and the log is as it was before, or is
   * brought back to that before the next commit is accepted. `StreamNotFound`: somebody took the log away.
   */
  readonly commit: (commit: Commit) => Effect.Effect<void, StorageError | StorageFull | StreamNotFound>

  /**
   * Events from offset `from` on: at least one, and then as many whole ones as fit into about `bytesMax`. The caller
   * asks only for offsets below the tail it knows; events of a commit under way are never in the answer if the caller
   * cuts it at that tail. What a fork inherits is read through its sources; all events of one block have the same
   * `eventStreamId`. Fails with `LogDamaged` when the event at `from` cannot be served.
   */
  readonly read: (from: number, bytesMax: number) => Effect.Effect<EventBlock, StorageError | LogDamaged>

  /** Notes when the stream was last used; kept as well as may be, but never waited for by the medium. */
  readonly touch: (at: number) => Effect.Effect<void>
}

/** Brings a state up to date with a durable commit's changes. */
export const applyState = (state: Map<string, string>, changes: ReadonlyArray<StateChange>): void => {
  for (const [key, value] of changes) {
    if (value === undefined) state.delete(key)
    else state.set(key, value)
  }
}

export class Storage extends Context.Service<Storage, {
  /** What `/health` calls this backend. */
  readonly kind: string

  /** Opens an existing log, hidden or not, in a time that does not depend on its length. Closes with the scope. */
  open(name: StreamName): Effect.Effect<Log, StreamNotFound | StorageError | LogDamaged, Scope.Scope>

  /** What a log, hidden or not, was made with. Leaves the log alone: another may be writing to it. */
  describe(name: StreamName): Effect.Effect<StreamDescription, StreamNotFound | StorageError | LogDamaged>

  /**
   * Makes a log with its first commit, both or neither. The caller knows that no log of that name exists. After a failure,
   * as after one of `hide` and `delete`, it can be there or not: `open` tells, and fails before that is certain.
   */
  create(
    description: StreamDescription,
    first: Commit
  ): Effect.Effect<Log, StorageError | StorageFull | TooManyStreams, Scope.Scope>

  /**
   * The names of the streams that are not hidden, sorted by UTF-16 code units: those that are wanted, at a cost of about
   * what is answered. Opens no log. What others put among the logs or take away may be late by a second and a little.
   */
  list(wanted?: NamesWanted): Effect.Effect<ReadonlyArray<StreamName>, StorageError>

  /** What was there when the storage was opened: one look at the medium, for everything that a start wants to know. */
  readonly atStart: Effect.Effect<StreamsAtStart>

  /** Why nothing can be stored now, if so. Looked at anew when it is asked, and answered soon whatever the medium does. */
  readonly trouble: Effect.Effect<StorageError | StorageFull | undefined>

  /** Hides the log: its forks can still read it, and nobody else. The caller opens it anew, also when this fails. */
  hide(name: StreamName): Effect.Effect<void, StreamNotFound | StorageError>

  /** Forgets the log, hidden or not, for good. The caller has closed it, or opens it anew to see that it is gone. */
  delete(name: StreamName): Effect.Effect<void, StreamNotFound | StorageError>
}>()("durable-streams/storage/storage") {
  /** Keeps logs while the process lives. */
  static readonly layerMemory: Layer.Layer<Storage> = Layer.sync(Storage, () => {
    const logs = new Map<StreamName, MemoryLog>()
    const listed = new SortedNames()
    const found = <A>(name: StreamName, use: (log: MemoryLog) => A) =>
      Effect.suspend(() => {
        const log = logs.get(name)
        return log === undefined ? Effect.fail(new StreamNotFound({ stream: name })) : Effect.sync(() => use(log))
      })

    return Storage.of({
      kind: "memory",
      open: (name) => found(name, (log) => log.reopened()),
      describe: (name) => found(name, (log) => log.description),
      create: (description, first) =>
        Effect.sync(() => {
          const { forkedFrom } = description
          const source = forkedFrom === undefined ? undefined : logs.get(forkedFrom.stream)
          const log = new MemoryLog(description, source?.description.id === forkedFrom?.id ? source : undefined)
          log.append(first)
          logs.set(description.name, log)
          listed.add(description.name)
          return log.reopened()
        }),
      list: (wanted) => Effect.sync(() => listed.list(wanted)),
      atStart: Effect.sync(() => ({
        listed: listed.list(),
        expiring: [...logs.values()].map(({ description }) => description)
          .filter(({ expiresAt, ttlSeconds }) => ttlSeconds !== undefined || expiresAt !== undefined)
          .map(({ name }) => name)
      })),
      trouble: Effect.undefined,
      hide: (name) =>
        found(name, (log) => {
          log.hidden = true
          listed.delete(name)
        }),
      delete: (name) =>
        found(name, () => {
          logs.delete(name)
          listed.delete(name)
        })
    })
  })
}

/** Bytes of one slab: large enough that a catch-up is few reads, small enough that a quiet stream wastes little. */
const slabBytes = 64 * 1024

/** Events of this many bytes are kept as they come: copying them would only cost. */
const blockBytesMin = slabBytes / 2

class MemoryLog {
  readonly #blocks: Array<GrowingBlock | EventBlock> = []
  readonly #state = new Map<string, string>()
  readonly #source: MemoryLog | undefined
  readonly #base: number
  #tail: number
  #touchedAt = 0
  hidden = false
  readonly description: StreamDescription

  constructor(description: StreamDescription, source: MemoryLog | undefined) {
    this.description = description
    this.#source = source
    this.#base = this.#tail = description.forkedFrom?.offset ?? 0
  }

  append({ events, state }: Commit): void {
    if (events.count > 0) this.#keep(events)
    applyState(this.#state, state)
  }

  #keep(events: EventBlock): void {
    const size = sizeOf(events)
    const last = this.#blocks.at(-1)
    if (size >= blockBytesMin) this.#blocks.push(events)
    else if (!(last instanceof GrowingBlock) || last.add(events) === undefined) {
      // A stream's first slab is small: most streams stay small.
      const slab = new GrowingBlock(this.#tail, Math.max(size, last === undefined ? slabBytes / 16 : slabBytes))
      slab.add(events)
      this.#blocks.push(slab)
    }
    this.#tail += events.count
  }

  reopened(): Log {
    return {
      description: this.description,
      hidden: this.hidden,
      tail: this.#tail,
      state: this.#state,
      touchedAt: this.#touchedAt,
      commit: (commit) => Effect.sync(() => this.append(commit)),
      read: (from) => Effect.suspend(() => this.#read(from)),
      touch: (at) => Effect.sync(() => void (this.#touchedAt = at))
    }
  }

  #read(from: number): Effect.Effect<EventBlock, LogDamaged> {
    if (from >= this.#base) return Effect.succeed(this.#readOwn(from))
    if (this.#source === undefined) {
      return Effect.fail(new LogDamaged({ stream: this.description.name, offset: toOffset(from) }))
    }
    return Effect.map(this.#source.#read(from), (block) => sliceBlock(block, from, this.#base - from))
  }

  /** One block at the most: they are about as long as a read wants to be. */
  #readOwn(from: number): EventBlock {
    let low = 0
    let high = this.#blocks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#blocks[middle]!.first <= from) low = middle
      else high = middle - 1
    }
    const block = this.#blocks[low]
    if (block === undefined || from >= this.#tail) return emptyBlock(from)
    return block instanceof GrowingBlock ? block.from(from) : sliceBlock(block, from)
  }
}
