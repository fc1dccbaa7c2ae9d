/**
 * The storage contract, and the backend that keeps everything in memory.
 *
 * The unit is the commit: what one append, or several that share a flush, makes true at once. A commit is whole or
 * absent after any failure, and once `commit` has succeeded it survives what the backend's durability says.
 * Promises 1, 2, 3 and 10 of docs/promises.md rest here.
 */
import { Context, type Effect, type Scope } from "effect"
import type { LogDamaged, StorageError, StorageFull, StreamNotFound } from "../domain/errors.ts"
import type { EventBlock, StreamName } from "../domain/types.ts"
import type { NamesWanted } from "./sorted-names.ts"

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
  ): Effect.Effect<Log, StorageError | StorageFull, Scope.Scope>

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
}>()("durable-streams/storage/storage") {}
