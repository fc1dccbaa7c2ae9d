/**
 * The contract of a durable stream: append, read, follow, fork, delete. `stream.ts` makes one, `with-hooks.ts` wraps it.
 */
import type { Effect, Exit, Scope, Stream } from "effect"
import type {
  ContentTypeMismatch,
  InvalidRequest,
  LogDamaged,
  Overloaded,
  PreconditionFailed,
  ProducerFenced,
  ProducerGap,
  SequenceRegression,
  SourceGone,
  StorageError,
  StorageFull,
  StreamClosed,
  StreamDeleted,
  StreamExists,
  StreamGone,
  StreamNotFound,
  TailMismatch,
  TooManyProducers,
  TooManyStreams
} from "../domain/errors.ts"
import type { OffsetBeyondTail } from "../domain/place-errors.ts"
import type { EventBlock, StreamEvent, StreamName } from "../domain/types.ts"
import type { EventData } from "../event/event-data.ts"
import type { ForkOrigin, StreamDescription } from "../storage/storage.ts"

/** Whether a request may be performed on the stream that its writer finds, or on its absence. */
export type Condition = (found: Found | undefined) => boolean

/** An existing stream; it has no description yet if an append in the same commit creates it. */
export interface Found {
  readonly description: Pick<StreamDescription, "id"> | undefined
  readonly tail: number
  readonly closed: boolean
}

export interface AppendRequest {
  /** The events' payloads, in order; one commit. May be empty only together with `close`. */
  readonly data: ReadonlyArray<EventData>
  /** The name of the caller, as a gate of the server told it; undefined for the program itself. Hooks are shown it. */
  readonly by?: string | undefined
  /** Append only if this is the tail (RFC 9110 13.1.1, in offsets). */
  readonly ifMatch?: number | undefined
  /** Append only if this holds when it is the append's turn. */
  readonly onlyIf?: Condition | undefined
  /** Close the stream atomically with these events. */
  readonly close?: boolean | undefined
  /** Append only if this is the stream's content type, parameters aside. */
  readonly contentType?: string | undefined
  /** Append this number of this producer once, however often it is sent (docs/protocol.md 11). */
  readonly producer?: ProducerNumber | undefined
  /** Append only if this is greater, byte for byte, than the `seq` of every append before. */
  readonly seq?: string | undefined
  /** Fail with `StreamNotFound` if the append would create the stream. */
  readonly mustExist?: boolean | undefined
}

/** Which of its appends a producer sends. */
export interface ProducerNumber {
  readonly id: string
  /** Which of the producer's lives. */
  readonly epoch: number
  /** Which append of that life, from 0. */
  readonly seq: number
}

/** The answer to an append, once it is durable. */
export interface Appended {
  /** The new events; none if the append only closed the stream, or is repeated. */
  readonly events: EventBlock
  /** The offset after the new events; after a repeated append, the stream's tail. */
  readonly tail: number
  readonly closed: boolean
  /** If the append names a producer: the highest number accepted from it, and whether this one was accepted before. */
  readonly producer: { readonly epoch: number; readonly seq: number; readonly repeated: boolean } | undefined
}

/** How a stream is to be created. */
export interface CreateRequest {
  /** Undefined: that of the source for a fork, else bytes. */
  readonly contentType: string | undefined
  /** A fork without `ttlSeconds` and `expiresAt` has those of its source. */
  readonly ttlSeconds?: number | undefined
  /** RFC 3339. */
  readonly expiresAt?: string | undefined
  /** Closed from the start. */
  readonly closed?: boolean | undefined
  /** Create the stream, or find it, only if this holds when it is the request's turn. */
  readonly onlyIf?: Condition | undefined
  /** The first events. */
  readonly data: ReadonlyArray<EventData>
  /** As of an append. */
  readonly by?: string | undefined
  readonly fork?: {
    readonly source: StreamName
    /** The first offset that is not inherited; undefined: the source's tail. */
    readonly offset: number | undefined
    /** How much further: so many events of a JSON stream, so many bytes of the next event of another one. */
    readonly subOffset: number
  } | undefined
}

/** A stream that exists now; `made` says whether this request created it. */
export interface Created {
  readonly made: boolean
  /** The events that this request created it with, without those that a fork inherits. */
  readonly events: EventBlock
  readonly info: StreamInfo
}

/** The place at which a fork leaves its source. */
export interface ForkPoint {
  readonly source: StreamDescription
  readonly origin: ForkOrigin
  /** The inherited part of an event, which is the fork's own first one. */
  readonly data: ReadonlyArray<EventData>
}

/** A place that a source keeps for a fork that is being made. */
export interface Reservation {
  /** The id that the fork will have. */
  readonly forkId: string
  readonly point: ForkPoint
}

/** Where a reading begins: at an offset, at the first event, or at the next one to come. */
export type From = number | "beginning" | "now"

/** A place in one life of a stream: a stream that is deleted and created again begins another life. */
export interface Cursor {
  readonly life: number
  readonly next: number
}

export interface StreamInfo {
  readonly description: StreamDescription
  readonly tail: number
  readonly closed: boolean
  /** Which life of the name this is, for a cursor. */
  readonly life: number
}

/** The stream does not exist, or not any more. */
export type Absent = StreamNotFound | StreamGone

export type AppendError =
  | Absent
  | TailMismatch
  | PreconditionFailed
  | StreamClosed
  | ContentTypeMismatch
  | SequenceRegression
  | ProducerFenced
  | ProducerGap
  | InvalidRequest
  | StorageError
  | StorageFull
  | TooManyProducers
  | TooManyStreams
  | Overloaded
export type CreateError =
  | StreamExists
  | PreconditionFailed
  | StreamGone
  | ContentTypeMismatch
  | StorageError
  | StorageFull
  | TooManyStreams
  | Overloaded
export type ForkError = StreamNotFound | SourceGone | InvalidRequest | StorageError | StorageFull | LogDamaged
export type ReadError = StreamDeleted | StorageError | LogDamaged

/** `E` is the refusal of hooks around the stream. */
export interface DurableStream<E = never> {
  readonly name: StreamName

  /** Appends all or nothing and answers once it is durable. Interrupting the caller stops nothing. */
  readonly append: (request: AppendRequest) => Effect.Effect<Appended, AppendError | E>

  /** `append` without a fiber: `done` is called once. */
  readonly appendUnsafe: (request: AppendRequest, done: (exit: Exit.Exit<Appended, AppendError | E>) => void) => void

  /**
   * Creates the stream with its first events, or finds that it exists and was created so. A fork needs a place that its
   * source has reserved.
   */
  readonly create: (request: CreateRequest, reservation?: Reservation) => Effect.Effect<Created, CreateError | E>

  /** The stream as it is now. Does not count as use (docs/protocol.md 10). */
  readonly info: Effect.Effect<StreamInfo, Absent>

  /** Whether the stream had a log, hidden or not, when it was last seen. */
  readonly isThere: () => boolean

  /** Counts as use until the scope closes, however slowly a reader takes a piece. */
  readonly reading: Effect.Effect<void, never, Scope.Scope>

  /**
   * A cursor for `next` and `read`. A stream that does not exist yet has one: its beginning. Fails for an offset beyond the
   * tail, since no reader of this life was ever given one (promise 10). Counts as use.
   */
  readonly cursor: (from: From) => Effect.Effect<Cursor, OffsetBeyondTail>

  /** Durable events from the cursor on, about `bytesMax` bytes of them; an empty block at the tail. Never waits. */
  readonly read: (cursor: Cursor, bytesMax?: number) => Effect.Effect<EventBlock, ReadError>

  /** Like `read`, but waits at the tail. An empty block means that the stream is closed and has been read to its end. */
  readonly next: (cursor: Cursor, bytesMax?: number) => Effect.Effect<EventBlock, ReadError>

  /**
   * `next` without a fiber: the events from the cursor on that are in memory, in a block that all followers at this place
   * share. Undefined: there are none yet. "behind": only `next` can tell, for the events are on the disk, or the stream is
   * closed or gone.
   */
  readonly nextUnsafe: (cursor: Cursor) => EventBlock | "behind" | undefined

  /** Waits at the tail without a fiber: calls `wake` once, when `nextUnsafe` may have another answer. */
  readonly waitUnsafe: (wake: () => void) => void

  /** Ends such a wait: the follower gives up. Counts as use. */
  readonly leaveUnsafe: (wake: () => void) => void

  /** `info` without a fiber, also of a stream that does not exist. */
  readonly infoUnsafe: () => Pick<StreamInfo, "life" | "tail" | "closed">

  /** The first offset whose event was created at `time` (milliseconds since 1970) or later; the tail if none was. */
  readonly offsetSince: (time: number) => Effect.Effect<number, ReadError>

  /** Catch-up, then live, each event once. Ends with the stream's closing, fails when it is deleted. */
  readonly subscribe: (from: From) => Stream.Stream<StreamEvent, ReadError | OffsetBeyondTail>

  /** Finds the place at which the stream is to be forked, and keeps the events before it for the fork from now on. */
  readonly reserve: (
    fork: StreamName,
    offset: number | undefined,
    subOffset: number
  ) => Effect.Effect<Reservation, ForkError>

  /** Ends a reservation. A deleted stream that was kept for this fork alone is now gone for good. */
  readonly release: (forkId: string) => Effect.Effect<void, StorageError | StorageFull>

  /** Deletes the stream, in order with its appends; with forks, it is kept for them alone. Followers are told. */
  readonly delete: Effect.Effect<void, Absent | StorageError>

  /** The same, unless `check` fails for the stream as it stands then. */
  readonly deleteIf: <E>(
    check: (info: StreamInfo) => Effect.Effect<void, E>
  ) => Effect.Effect<void, Absent | StorageError | E>

  /** Deletes the stream if it has expired. Returns when it will expire: milliseconds since 1970, or undefined for never. */
  readonly expire: Effect.Effect<number | undefined, StorageError>
}
