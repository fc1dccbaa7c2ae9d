/**
 * Where a reading begins, for every way in which a request can say it, and which life of the stream it means. A place that
 * the stream never gave out is refused, never waited for (promise 10; docs/decisions/0013-lives.md).
 */
import { Effect, type Scope } from "effect"
import type { InvalidRequest } from "../domain/errors.ts"
import { StreamDeleted } from "../domain/errors.ts"
import type { OffsetBeyondTail } from "../domain/place-errors.ts"
import { OtherLife } from "../domain/place-errors.ts"
import { toOffset } from "../domain/types.ts"
import type { StreamDescription } from "../storage/storage.ts"
import type { Absent, Cursor, DurableStream, From, ReadError } from "../stream/durable-stream.ts"
import type { Headers } from "./request-parameters.ts"
import { countParameter, sinceParameter, textParameter } from "./request-parameters.ts"

/** The start that a request asks for. */
export interface Asked {
  readonly query: URLSearchParams
  /** The place that the request names, in its query or in a header. */
  readonly offset: From | undefined
  /** The place when the request names none. */
  readonly otherwise: From
  /** Whether the life with this id is the one that `offset` belongs to; true when the request names no life. */
  readonly isLife: (id: string) => boolean
  /** Whether a stream that does not exist is refused; if not, its beginning is a place. */
  readonly mustExist: boolean
}

/** Where a reading begins, and the state of its stream then. */
export interface Opening {
  readonly start: Cursor
  readonly tail: number
  readonly closed: boolean
  /** Undefined: the stream does not exist yet. */
  readonly description: StreamDescription | undefined
}

export type OpenError = Absent | ReadError | InvalidRequest | OffsetBeyondTail | OtherLife

/**
 * Returns the latest of the places that `offset`, `since` and `tail` name. A stream that does not exist has its tail at the
 * beginning. Fails for a bad parameter before it reads the stream, and for an offset beyond the tail or of another life: the
 * reader must learn of it, and the problem names the stream's tail and life. The stream counts as being read from here on,
 * until the scope closes.
 */
export const openAt = (stream: DurableStream<unknown>, asked: Asked): Effect.Effect<Opening, OpenError, Scope.Scope> =>
  Effect.gen(function*() {
    yield* stream.reading
    const since = yield* sinceParameter(asked.query)
    const last = yield* countParameter(asked.query, "tail")
    const isByContent = since !== undefined || last !== undefined
    const from = asked.offset ?? (isByContent ? "beginning" : asked.otherwise)
    const state = asked.mustExist ? stream.info : stateOf(stream)
    const { description, tail } = yield* state
    // The beginning and the tail are the same places in every life.
    if (typeof from === "number" && from > 0 && description !== undefined && !asked.isLife(description.id)) {
      return yield* new OtherLife({
        stream: stream.name,
        offset: toOffset(from),
        tail: toOffset(tail),
        life: description.id
      })
    }
    const { life, next } = yield* stream.cursor(from)
    const first = since === undefined ? 0 : yield* stream.offsetSince(since)
    const { life: now, ...place } = yield* state
    if (now !== life) return yield* new StreamDeleted({ stream: stream.name })
    const start = { life, next: Math.max(next, first, last === undefined ? 0 : place.tail - last) }
    return { start, ...place }
  })

/** The header that names the life of the stream. */
export const lifeHeader = (description: StreamDescription | undefined): Record<string, string> =>
  description === undefined ? {} : { "stream-life": description.id }

/** The life that a request names: `life` in the query, or the header that an answer gave. */
export const lifeOf = (request: Headers & { readonly query: URLSearchParams }) =>
  Effect.map(textParameter(request.query, "life"), (life) => {
    const named = life ?? request.header("stream-life")
    return named === "" ? undefined : named
  })

/**
 * The id of the last event that a resuming follower saw; undefined when it does not resume. An `EventSource` sends it in the
 * header; some of its replacements cannot set headers and send it in the query (event-source-polyfill, Mercure).
 */
export const lastSeen = (request: Headers & { readonly query: URLSearchParams }) =>
  Effect.gen(function*() {
    const ids = [
      request.header("last-event-id"),
      yield* textParameter(request.query, "lastEventId"),
      yield* textParameter(request.query, "lastEventID")
    ]
    return ids.find((text) => text !== undefined)
  })

/** The state of the stream now. One that does not exist yet will be made in the life that its cursors have already. */
const stateOf = (stream: DurableStream<unknown>) =>
  Effect.catchTag(
    stream.info,
    "StreamNotFound",
    () => Effect.sync(() => ({ ...stream.infoUnsafe(), description: undefined }))
  )
