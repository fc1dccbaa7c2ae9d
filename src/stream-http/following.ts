/**
 * `GET /streams/:name` (docs/protocol.md 5): Server-Sent Events from a place on, each event once (promise 4). A follower is
 * told whatever it cannot have: in the refusal, or, when it resumes as an `EventSource` does, in a frame (promise 10).
 */
import { Effect } from "effect"
import { keepAliveComment } from "../api/wire.ts"
import { refusals, StreamDeleted } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import { toOffset } from "../domain/types.ts"
import type { Answer, Streamed } from "../http/exchange.ts"
import { PieceMemory } from "../http/exchange.ts"
import type { Refusal } from "../http/problem.ts"
import { problemText } from "../http/problem.ts"
import type { RouteRequest } from "../http/router.ts"
import type { Followers } from "../manager/followers.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import type { StreamDescription } from "../storage/storage.ts"
import type { Cursor, DurableStream } from "../stream/durable-stream.ts"
import { placeHeaders } from "./append-headers.ts"
import { sseBytes, toSse, writeSse } from "./framing.ts"
import type { Opening } from "./reading-start.ts"
import { lastSeen, lifeHeader, lifeOf, openAt } from "./reading-start.ts"
import { lastEventId, offsetParameter, streamName } from "./request-parameters.ts"

/** The handler of the route. */
export const subscribe = (manager: StreamManager["Service"], followers: Followers) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    const name = yield* streamName(request.parameter)
    const life = yield* lifeOf(request)
    const offset = yield* offsetParameter(request.query)
    const seen = yield* lastSeen(request)
    const resumed = seen === undefined ? undefined : yield* lastEventId(seen)
    yield* followers.enter(name)
    const stream = yield* manager.get(name)
    const opening = openAt(stream, {
      query: resumed === undefined ? request.query : new URLSearchParams(),
      offset: resumed ?? offset,
      otherwise: "now",
      isLife: (id) => life === undefined || id === life,
      mustExist: false
    })
    const opened = yield* resumed === undefined ? opening : Effect.catch(opening, lostPlace)
    return "status" in opened ? opened : resumed !== undefined && isEnd(opened) ? ended(opened) : {
      status: 200,
      headers: { ...sseHeaders, ...placeHeaders(opened.start.next, false), ...lifeHeader(opened.description) },
      body: frames(stream, opened, resumed !== undefined || isEventSource(request), request.target)
    } satisfies Answer as Answer
  })

/**
 * What ends a following early, as its last frame. An `EventSource` comes back by itself with the id it was given last. When
 * that place is gone, the id is the beginning, so that it misses nothing of what is there now.
 */
export const problemFrame = (refusal: Refusal): Buffer =>
  Buffer.from(`event: problem\n${isLost(refusal) ? "id: -1\n" : ""}data: ${problemText(refusal)}\n\n`)

/** An `EventSource` gives up for good on a refusal, and cannot read it: it is told in a frame that its place is gone. */
export const lostPlace = <E extends Refusal>(refusal: E): Effect.Effect<Answer, E> =>
  isLost(refusal)
    ? Effect.succeed({ status: 200, headers: sseHeaders, body: problemFrame(refusal) })
    : Effect.fail(refusal)

const isLost = ({ _tag }: Refusal) => _tag === "StreamDeleted" || _tag === "OffsetBeyondTail" || _tag === "OtherLife"

/** An `EventSource` names the one type that it takes (WHATWG HTML 9.2.2); curl takes all, and is sent events from the first. */
const isEventSource = (request: RouteRequest): boolean =>
  /^\s*text\/event-stream\s*(?:$|[,;])/i.test(request.header("accept") ?? "")

const isEnd = ({ closed, start, tail }: Opening) => closed && start.next >= tail

/** An `EventSource` that is answered 204 does not come back (WHATWG HTML 9.2.3): there will never be more. */
const ended = ({ description, tail }: Opening): Answer => ({
  status: 204,
  headers: { ...placeHeaders(tail, true), ...lifeHeader(description), "cache-control": "no-store" },
  body: undefined
})

/**
 * The events from the start on. The end of a closed stream is an event named `closed`, and a refusal to go on is one named
 * `problem`; an end without either is the server's. `connected` says where the follower is and in which life of the stream:
 * first, for an `EventSource`, which can compare lives by it alone, and when nothing is to be caught up with, so that a
 * connection lost before the first event misses nothing either (promise 4); and again when a stream that was waited for is
 * made.
 */
const frames = (stream: DurableStream<unknown>, opened: Opening, isAnnounced: boolean, target: string): Streamed => {
  const memory = new PieceMemory()
  let cursor = opened.start
  let over = false
  let place = isAnnounced || cursor.next >= opened.tail
    ? connectedFrame(stream.name, opened.description, cursor.next, opened.tail)
    : undefined
  let isUnborn = opened.description === undefined

  const events = Effect.suspend(() => stream.next(cursor)).pipe(
    Effect.map((block) => {
      if (block.count === 0) {
        over = true
        return Buffer.from(`event: closed\ndata: {"nextOffset":"${toOffset(cursor.next)}"}\n\n`)
      }
      cursor = { life: cursor.life, next: block.first + block.count }
      if (block.release === undefined) return toSse(block)
      // A block of one's own: its frames are nobody else's.
      const frames = memory.fill(sseBytes(block), (target) => writeSse(block, target))
      block.release()
      return frames
    })
  )

  /** A stream that was waited for is there. Its events are read behind this. */
  const born = Effect.gen(function*() {
    const block = yield* stream.next(cursor)
    block.release?.()
    const { description, tail } = yield* infoIn(stream, cursor)
    isUnborn = false
    return connectedFrame(stream.name, description, cursor.next, tail)
  })

  return {
    _tag: "Streamed",
    keepAlive,
    live: {
      take: () => {
        const block = place === undefined && !over ? stream.nextUnsafe(cursor) : "behind"
        if (block === undefined) return undefined
        if (block === "behind" || isUnborn) return "pull"
        cursor = { life: cursor.life, next: block.first + block.count }
        return toSse(block)
      },
      wait: (wake) => {
        memory.forget()
        stream.waitUnsafe(wake)
      },
      leave: stream.leaveUnsafe
    },
    pull: Effect.suspend(() => {
      if (over) return Effect.undefined
      if (place !== undefined) {
        const bytes = place
        place = undefined
        return Effect.succeed(bytes)
      }
      return Effect.catch(isUnborn ? born : events, (refusal) => {
        over = true
        return Effect.as(logFailure(refusal, target), problemFrame(refusal))
      })
    })
  }
}

/** Followers are told of what the server could not do, and so is its log. */
export const logFailure = (refusal: Refusal, target: string): Effect.Effect<void> => {
  const { status } = refusals[refusal._tag]
  return status < 500
    ? Effect.void
    : Effect.annotateLogs(Effect.logError(`A following ended: ${refusal.message}`), { target, status })
}

const infoIn = (stream: DurableStream<unknown>, { life }: Cursor) =>
  stream.info.pipe(
    Effect.filterOrFail((info) => info.life === life),
    Effect.mapError(() => new StreamDeleted({ stream: stream.name }))
  )

const connectedFrame = (
  name: StreamName,
  description: StreamDescription | undefined,
  next: number,
  tail: number
): Uint8Array => {
  const data = {
    eventStreamId: name,
    life: description?.id ?? null,
    createdAt: description?.createdAt ?? null,
    nextOffset: toOffset(next),
    tail: toOffset(tail)
  }
  const id = next === 0 ? "-1" : toOffset(next - 1)
  return Buffer.from(`event: connected\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`)
}

const keepAlive = Buffer.from(keepAliveComment)

const sseHeaders = {
  // Always UTF-8; clients that go by the rules for other texts would take it for Latin-1.
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  // Proxies of the nginx family would collect events otherwise.
  "x-accel-buffering": "no"
}
