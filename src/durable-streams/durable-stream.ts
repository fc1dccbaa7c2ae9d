/**
 * What a durable stream is to those who use one: append, read, follow, delete. `stream.ts` makes it, `with-hooks.ts` wraps
 * it.
 */
import type { Effect, Stream } from "effect"
import type { StreamDescription } from "./storage.ts"
import type {
  EventBlock,
  EventData,
  LogDamaged,
  Overloaded,
  StorageFailed,
  StorageFull,
  StreamClosed,
  StreamDeleted,
  StreamEvent,
  StreamName,
  StreamNotFound,
  TailMismatch
} from "./types.ts"

export interface AppendRequest {
  /** The events' payloads, in order; one commit. May be empty only together with `close`. */
  readonly data: ReadonlyArray<EventData>
  /** Append only if this is the tail (RFC 9110 13.1.1, in offsets). */
  readonly ifMatch?: number | undefined
  /** Close the stream atomically with these events. */
  readonly close?: boolean | undefined
}

/** Where a reading begins: an offset, the first event there is, or the next one there will be. */
export type From = number | "beginning" | "now"

/** A place in one life of a stream: a stream that is deleted and made again is another one. */
export interface Cursor {
  readonly life: number
  readonly next: number
}

export interface StreamInfo {
  readonly description: StreamDescription
  readonly tail: number
  readonly closed: boolean
}

export type AppendError = TailMismatch | StreamClosed | StorageFailed | StorageFull | Overloaded
export type ReadError = StreamDeleted | StorageFailed | LogDamaged

export interface DurableStream {
  readonly name: StreamName

  /** Appends all or nothing and answers with the events, once they are durable. Interrupting the caller stops nothing. */
  readonly append: (request: AppendRequest) => Effect.Effect<EventBlock, AppendError>

  /** What is known of the stream now. */
  readonly info: Effect.Effect<StreamInfo, StreamNotFound>

  /** A cursor for `next` and `read`. A stream that does not exist yet has one: its beginning. */
  readonly cursor: (from: From) => Effect.Effect<Cursor>

  /** Durable events from the cursor on, about `bytesMax` bytes of them; an empty block at the tail. Never waits. */
  readonly read: (cursor: Cursor, bytesMax?: number) => Effect.Effect<EventBlock, ReadError>

  /** Like `read`, but waits at the tail. An empty block means that the stream is closed and has been read to its end. */
  readonly next: (cursor: Cursor, bytesMax?: number) => Effect.Effect<EventBlock, ReadError>

  /** The first offset whose event was created at `time` (milliseconds since 1970) or later; the tail if none was. */
  readonly offsetSince: (time: number) => Effect.Effect<number, ReadError>

  /** Catch-up, then live, each event once. Ends with the stream's closing, fails when it is deleted. */
  readonly subscribe: (from: From) => Stream.Stream<StreamEvent, ReadError>

  /** Deletes the stream, in order with its appends. Followers are told. */
  readonly delete: Effect.Effect<void, StreamNotFound | StorageFailed>
}
