/**
 * One request and its answer, free of any platform. Handlers are effects over these; an adapter (web-node) brings them
 * to a socket. Why not Effect's own server: docs/decisions/0002-plain-http.md.
 */
import { Effect, type Scope } from "effect"
import type { InvalidRequest, PayloadTooLarge } from "../durable-streams/errors.ts"

export interface Incoming {
  readonly method: string
  /** The target as it came, before any normalisation: `/streams/a%2Fb?offset=-1`. */
  readonly target: string
  /** Header values by lower-case name; a repeated header is joined by a comma. */
  readonly header: (name: string) => string | undefined
  /** How often a header stands in the request, which joining hides. */
  readonly headerCount: (name: string) => number
  /** The body, refused while it arrives if it is larger than `bytesMax`. At most once. */
  readonly body: (bytesMax: number) => Effect.Effect<Uint8Array, PayloadTooLarge | InvalidRequest>
}

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

/** Answers every request: refusals are answers too. The scope closes when the answer has been sent or the caller left. */
export type Handler = (request: Incoming) => Effect.Effect<Answer, never, Scope.Scope>

export const json = (status: number, body: string | Uint8Array): Answer => ({
  status,
  headers: jsonHeaders,
  body
})

const jsonHeaders = { "content-type": "application/json" }
