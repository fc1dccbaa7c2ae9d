/**
 * One request and its answer, free of any platform. Handlers are effects over these; an adapter (web-node) brings them
 * to a socket. Why not Effect's own server: docs/decisions/0002-plain-http.md.
 */
import { Effect, type Exit } from "effect"
import type { InvalidRequest, Overloaded, PayloadTooLarge } from "../domain/errors.ts"

export interface Incoming {
  readonly method: string
  /** The target as it came, before any normalisation: `/streams/a%2Fb?offset=-1`. */
  readonly target: string
  /** Of HTTP: `1.1`. */
  readonly version: string
  /** Header values by lower-case name; a repeated header is joined by a comma. */
  readonly header: (name: string) => string | undefined
  /** How often a header stands in the request, which joining hides. */
  readonly headerCount: (name: string) => number
  /** Ends when the server is told to stop: whoever waits for news answers then. */
  readonly stopping: Effect.Effect<void>
  /** The body, refused while it arrives if it is larger than `bytesMax`. It can be asked for once. */
  readonly body: (bytesMax: number) => Effect.Effect<Uint8Array, BodyRefused>
  /** `body` without a fiber: `done` is called once. */
  readonly bodyUnsafe: (bytesMax: number, done: Done<Uint8Array, BodyRefused>) => void
}

/** It is too large, ended early, or there is no memory for it now. */
export type BodyRefused = PayloadTooLarge | InvalidRequest | Overloaded

/** Is told once how something ended. */
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
   * The next bytes; undefined at the end. A failure cuts the connection, so that nobody takes a part for the whole. Bytes
   * of `reusedBytesMin` or more may lie in memory that the next pull uses again: it comes when the system has taken them.
   */
  readonly pull: Effect.Effect<Uint8Array | undefined, unknown>
  /** Sent every now and then, so that both ends and all between know the other is there. */
  readonly keepAlive: Uint8Array | undefined
  /** When it ends by itself, between two pulls or within one. */
  readonly endsAfterMillis?: number | undefined
  /** Asked before each pull: how it goes on while nothing of it takes a fiber. */
  readonly live?: Live | undefined
}

/** A body that follows something and has caught up: what comes is at hand, and shared by all who follow. */
export interface Live {
  /** The next bytes, at least one, not to be changed by anybody. Undefined: there are none yet. "pull": they are to be pulled. */
  readonly take: () => Uint8Array | "pull" | undefined
  /** Calls `wake` once, when `take` may have another answer. */
  readonly wait: (wake: () => void) => void
  /** Takes the call back. */
  readonly leave: (wake: () => void) => void
}

/** A body of pieces, of which the first is there already. A failure of `rest` cuts the connection. */
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

/** Smaller bytes than these are never waited for, only for the socket's buffer to have room again. */
export const reusedBytesMin = 64 * 1024

/**
 * Memory for the pieces of one streamed answer, used again for each: buffers lie outside V8's heap, and taking a new one
 * for every piece makes the garbage collector go over all of it.
 */
export class PieceMemory {
  #memory: Buffer | undefined

  /** `write` fills the front of a target of `size` bytes or more; the answer is what it has filled, good for one pull. */
  fill(size: number, write: (target: Buffer) => Uint8Array): Uint8Array {
    if (size < reusedBytesMin) return write(Buffer.allocUnsafe(size))
    if (this.#memory === undefined || this.#memory.length < size) {
      this.#memory = Buffer.allocUnsafeSlow(size + reusedBytesMin)
    }
    const bytes = write(this.#memory)
    // Small pieces are not waited for, and a `slice` of a buffer would be no copy.
    return bytes.length < reusedBytesMin ? Buffer.from(bytes) : bytes
  }

  /** Nothing more is to be written soon: whoever only waits keeps no memory. */
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
