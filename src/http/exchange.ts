/**
 * One request and its answer, free of any platform. Handlers are effects over these; an adapter (`http-node`) connects them
 * with a socket. docs/decisions/0002-plain-http.md says why this is not Effect's own server.
 */
import { Effect, type Exit } from "effect"
import type { InvalidRequest, Overloaded, PayloadTooLarge } from "../domain/errors.ts"

export interface Incoming {
  readonly method: string
  /** The target as it came, before any normalisation: `/streams/a%2Fb?offset=-1`. */
  readonly target: string
  /** The version of HTTP: `1.1`. */
  readonly version: string
  /** Header values by lower-case name; a repeated header is joined by a comma. */
  readonly header: (name: string) => string | undefined
  /** How often a header is in the request; `header` joins the repetitions. */
  readonly headerCount: (name: string) => number
  /** Ends when the server is told to stop: a handler that waits for news then answers. */
  readonly stopping: Effect.Effect<void>
  /** The body, refused while it arrives if it is larger than `bytesMax`. It can be asked for once. */
  readonly body: (bytesMax: number) => Effect.Effect<Uint8Array, BodyRefused>
  /** `body` without a fiber: `done` is called once. */
  readonly bodyUnsafe: (bytesMax: number, done: Done<Uint8Array, BodyRefused>) => void
}

/** The body is too large, ended early, or the server has no memory for it now. */
export type BodyRefused = PayloadTooLarge | InvalidRequest | Overloaded

/** A callback for the end of some work. It is called once. */
export type Done<A, E> = (exit: Exit.Exit<A, E>) => void

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | Streamed | undefined
}

/** A body that is pulled at the reader's pace. */
export interface Streamed {
  readonly _tag: "Streamed"
  /**
   * The next bytes; undefined at the end. A failure cuts the connection, so that no client takes a part for the whole. Bytes
   * of `reusedBytesMin` or more may lie in memory that the next pull uses again: it comes when the system has taken them.
   */
  readonly pull: Effect.Effect<Uint8Array | undefined, unknown>
  /** Sent in quiet times, so that client, server and the proxies between them know that the connection is alive. */
  readonly keepAlive: Uint8Array | undefined
  /** The time after which the body ends by itself, between two pulls or within one. */
  readonly endsAfterMillis?: number | undefined
  /** Asked before each pull: gives the next bytes as long as that takes no fiber. */
  readonly live?: Live | undefined
}

/** A body that follows a stream and has caught up: its next bytes are in memory, and all followers share them. */
export interface Live {
  /** The next bytes, at least one; the caller must not change them. Undefined: there are none yet. "pull": pull them. */
  readonly take: () => Uint8Array | "pull" | undefined
  /** Calls `wake` once, when `take` may have another answer. */
  readonly wait: (wake: () => void) => void
  /** Cancels the call. */
  readonly leave: (wake: () => void) => void
}

/** A body of pieces whose first one is in memory already. A failure of `rest` cuts the connection. */
export const inPieces = (first: Uint8Array, rest: Streamed["pull"]): Streamed => {
  let pending: Uint8Array | undefined = first
  return {
    _tag: "Streamed",
    keepAlive: undefined,
    pull: Effect.suspend(() => {
      const bytes = pending
      pending = undefined
      return bytes === undefined ? rest : Effect.succeed(bytes)
    })
  }
}

/**
 * The sender waits until the system has taken bytes of this size or more. After fewer bytes it waits only for room in the
 * socket's buffer.
 */
export const reusedBytesMin = 64 * 1024

/**
 * Memory for the pieces of one streamed answer, used again for each piece: buffers lie outside V8's heap, and a new buffer
 * for every piece makes the garbage collector go over the whole heap.
 */
export class PieceMemory {
  #memory: Buffer | undefined

  /** Lets `write` fill the front of a target of at least `size` bytes; returns the filled bytes, good for one pull. */
  fill(size: number, write: (target: Buffer) => Uint8Array): Uint8Array {
    if (size < reusedBytesMin) return write(Buffer.allocUnsafe(size))
    if (this.#memory === undefined || this.#memory.length < size) {
      this.#memory = Buffer.allocUnsafeSlow(size + reusedBytesMin)
    }
    const bytes = write(this.#memory)
    // The sender does not wait for small pieces, and a `slice` of a buffer would be no copy.
    return bytes.length < reusedBytesMin ? Buffer.from(bytes) : bytes
  }

  /** Lets the memory go. A follower that only waits calls this. */
  forget(): void {
    this.#memory = undefined
  }
}

export const json = (status: number, body: string | Uint8Array): Answer => ({
  status,
  headers: jsonHeaders,
  body
})

const jsonHeaders = { "content-type": "application/json" }
