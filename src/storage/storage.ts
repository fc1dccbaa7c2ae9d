/**
 * The storage contract. Each backend is in a file that imports this one.
 *
 * The unit is the commit: the events and the state changes of one append, or of several that share a flush. After any failure
 * a commit is whole or absent, and once `commit` has succeeded it survives the failures that the backend's durability names.
 * Promises 1, 2, 3 and 10 of docs/promises.md rest here.
 */
import { Context, type Effect, type Scope } from "effect"
import type { LogDamaged, StorageError, StorageFull, StreamNotFound } from "../domain/errors.ts"
import type { EventBlock, StreamName } from "../domain/types.ts"
import type { NamesWanted } from "./sorted-names.ts"

/** A stream's properties from its creation. They never change while the stream exists. */
export interface StreamDescription {
  readonly name: StreamName
  /** As the client sent it; `isJson` tells what kind of events it means. */
  readonly contentType: string
  /** RFC 3339, with milliseconds. */
  readonly createdAt: string
  /** Distinguishes this life of the name from every other one. */
  readonly id: string
  /** The stream expires after so many seconds without use. */
  readonly ttlSeconds?: number | undefined
  /** When the stream expires (RFC 3339, as the client sent it). */
  readonly expiresAt?: string | undefined
  readonly forkedFrom?: ForkOrigin | undefined
}

/** Where a fork begins in its source. */
export interface ForkOrigin {
  readonly stream: StreamName
  /** The source's id. */
  readonly id: string
  /** The fork's first own offset: the events before it are the source's. */
  readonly offset: number
  /** The fork's own first event has so many bytes of the source's event at `offset`; 0 if there is no such event. */
  readonly bytes: number
}

/**
 * One entry of a stream's state: a key, and one line of JSON text; undefined removes the entry. A commit changes the entries
 * that it names and leaves the others.
 */
export type StateChange = readonly [key: string, value: string | undefined]

export interface Commit {
  /** The new events; their first offset is the log's tail. May be empty when only the state changes. */
  readonly events: EventBlock
  /** Changes that must not be torn from the events: the closing of the stream, a producer's number. */
  readonly state: ReadonlyArray<StateChange>
}

/** Names of streams, in no order. */
export interface StreamsAtStart {
  /** The streams that are not hidden. */
  readonly listed: ReadonlyArray<StreamName>
  /** The streams that can expire. */
  readonly expiring: ReadonlyArray<StreamName>
}

/** One open log. Its owner calls `commit` for one commit at a time; reads may run beside it. */
export interface Log {
  readonly description: StreamDescription
  /** The stream was deleted, and the log is kept for its forks: it is not listed, and its name is not free. */
  readonly hidden: boolean
  /** The offset of the next event when the log was opened. A fork's own events begin at its origin's offset. */
  readonly tail: number
  /** The state after the newest durable commit. The log keeps it up to date; the caller only reads it. */
  readonly state: ReadonlyMap<string, string>
  /** When the stream was last used, in milliseconds since 1970, as the last `touch` says; 0 if there was none. */
  readonly touchedAt: number

  /**
   * Appends the commit. Success: it is durable. Failure: it is absent, and the log is as it was before, or is brought back to
   * that before it accepts the next commit. Fails with `StreamNotFound` if another program has removed the log.
   */
  readonly commit: (commit: Commit) => Effect.Effect<void, StorageError | StorageFull | StreamNotFound>

  /**
   * Returns events from offset `from` on: at least one, and then as many whole ones as fit into about `bytesMax`. A fork's
   * inherited events come from its sources; all events of one block have the same `eventStreamId`. Fails with `LogDamaged` if
   * the event at `from` cannot be served. The caller asks only for offsets below the tail that it knows, and cuts the answer
   * there: behind it, events of a commit under way may follow.
   */
  readonly read: (from: number, bytesMax: number) => Effect.Effect<EventBlock, StorageError | LogDamaged>

  /** Notes when the stream was last used. It never fails and waits for no flush, so a crash may lose it. */
  readonly touch: (at: number) => Effect.Effect<void>
}

/** Makes a commit's changes in a state. */
export const applyState = (state: Map<string, string>, changes: ReadonlyArray<StateChange>): void => {
  for (const [key, value] of changes) {
    if (value === undefined) state.delete(key)
    else state.set(key, value)
  }
}

export class Storage extends Context.Service<Storage, {
  /** The name of this backend in `/health`. */
  readonly kind: string

  /** Opens an existing log, hidden or not, in a time that does not depend on its length. The scope closes it. */
  open(name: StreamName): Effect.Effect<Log, StreamNotFound | StorageError | LogDamaged, Scope.Scope>

  /** Reads what a log, hidden or not, was created with. Another caller may be writing to the log. */
  describe(name: StreamName): Effect.Effect<StreamDescription, StreamNotFound | StorageError | LogDamaged>

  /**
   * Creates a log with its first commit, both or neither. The scope closes it. After a failure, as after one of `hide` and
   * `delete`, the log may or may not exist: `open` tells, and fails until that is certain. The caller knows that no log of
   * that name exists.
   */
  create(
    description: StreamDescription,
    first: Commit
  ): Effect.Effect<Log, StorageError | StorageFull, Scope.Scope>

  /**
   * Returns the wanted names of streams that are not hidden, sorted by UTF-16 code units, at a cost of about what it answers.
   * Opens no log. Logs that another program adds or removes may show up a little more than a second late.
   */
  list(wanted?: NamesWanted): Effect.Effect<ReadonlyArray<StreamName>, StorageError>

  /** The streams that existed when the storage was opened: one look at the medium, for everything that a start needs. */
  readonly atStart: Effect.Effect<StreamsAtStart>

  /** Why nothing can be stored now; undefined if it can. Each call looks anew, and returns soon however slow the medium is. */
  readonly trouble: Effect.Effect<StorageError | StorageFull | undefined>

  /** Hides the log: only its forks can still read it. The caller opens it anew afterwards, even if this fails. */
  hide(name: StreamName): Effect.Effect<void, StreamNotFound | StorageError>

  /** Deletes the log, hidden or not. The caller has closed it, or opens it anew to see that it is gone. */
  delete(name: StreamName): Effect.Effect<void, StreamNotFound | StorageError>
}>()("durable-streams/storage/storage") {}
