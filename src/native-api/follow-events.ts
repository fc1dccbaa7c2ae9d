/**
 * `GET /streams/:name` (docs/protocol.md 5): sends Server-Sent Events from a place on, each event once (promise 4). If the
 * stream no longer has the events that a follower asks for, the refusal says so, or a frame when the follower resumes as an
 * `EventSource` does (promise 10).
 */
import { Effect } from "effect"
import { keepAliveComment } from "../api/wire.ts"
import { StreamDeleted } from "../domain/errors.ts"
import type { EventBlock, StreamName } from "../domain/types.ts"
import { toOffset } from "../domain/types.ts"
import { consumeBlock, isShared } from "../event/event-block.ts"
import type { Answer } from "../http/exchange.ts"
import type { RouteRequest } from "../http/router.ts"
import type { Followers } from "../manager/followers.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import type { StreamDescription } from "../storage/storage.ts"
import { placeHeaders } from "../stream-http/append-headers.ts"
import { eventFrames, sharedEventFrames } from "../stream-http/event-frames.ts"
import type { FollowingRenderer, Frames } from "../stream-http/following.ts"
import { following, StreamFollowing } from "../stream-http/following.ts"
import type { Fill } from "../stream-http/joined-events.ts"
import { openFollowing, sseHeaders } from "../stream-http/open-following.ts"
import type { Opening } from "../stream-http/reading-start.ts"
import { lastSeen, lifeHeader, lifeOf, openAt } from "../stream-http/reading-start.ts"
import { lastEventId, offsetParameter, streamName } from "../stream-http/request-parameters.ts"
import type { Cursor, DurableStream, ReadError } from "../stream/durable-stream.ts"

/** The handler of the route. */
export const followEvents = (manager: StreamManager["Service"], followers: Followers) =>
  Effect.fnUntraced(function*(request: RouteRequest) {
    const name = yield* streamName(request.parameter)
    const life = yield* lifeOf(request)
    const offset = yield* offsetParameter(request.query)
    const lastId = yield* lastSeen(request)
    const resumeOffset = lastId === undefined ? undefined : yield* lastEventId(lastId)
    const isResumed = resumeOffset !== undefined
    const open = Effect.gen(function*() {
      const stream = yield* manager.get(name)
      const opening = yield* openAt(stream, {
        query: isResumed ? new URLSearchParams() : request.query,
        offset: resumeOffset ?? offset,
        otherwise: "now",
        isLife: (id) => life === undefined || id === life,
        mustExist: false
      })
      return { stream, ...opening }
    })
    return yield* openFollowing(
      followers,
      name,
      isResumed,
      open,
      ({ stream, ...opening }) =>
        Effect.sync((): Answer => ({
          status: 200,
          headers: { ...sseHeaders, ...placeHeaders(opening.start.next, false), ...lifeHeader(opening.description) },
          body: following(new StreamFollowing(stream, opening.start), new EventRenderer(stream, opening), {
            target: request.target,
            keepAlive,
            greeting: isResumed || isEventSource(request) || opening.start.next >= opening.tail
              ? connectedFrame(name, opening.description, opening.start.next, opening.tail)
              : undefined
          })
        }))
    )
  })

/** An `EventSource` names the one type that it takes (WHATWG HTML 9.2.2). curl takes all types: its first frame is an event. */
const isEventSource = (request: RouteRequest): boolean =>
  /^\s*text\/event-stream\s*(?:$|[,;])/i.test(request.header("accept") ?? "")

/**
 * Renders each event as a frame. The end of a closed stream is an event named `closed`; a following that the server ends has
 * none. When a stream that the follower waits for is created, `connected` comes again, in front of its first events.
 */
class EventRenderer implements FollowingRenderer<ReadError> {
  readonly #stream: DurableStream<unknown>
  readonly #start: Cursor
  #isUnborn: boolean

  constructor(stream: DurableStream<unknown>, { description, start }: Opening) {
    this.#stream = stream
    this.#start = start
    this.#isUnborn = description === undefined
  }

  render(block: EventBlock, fill: Fill): Effect.Effect<Frames, ReadError> {
    const frames = block.count === 0
      ? closedFrames(block.first)
      : isShared(block)
      ? sharedEventFrames(block)
      : { bytes: consumeBlock(block, (block) => eventFrames(block, fill)), isEnd: false }
    return this.#isUnborn ? this.#connect(frames) : Effect.succeed(frames)
  }

  renderShared(block: EventBlock): Frames | undefined {
    return this.#isUnborn ? undefined : sharedEventFrames(block)
  }

  #connect({ bytes, isEnd }: Frames): Effect.Effect<Frames, ReadError> {
    return Effect.map(readInfo(this.#stream, this.#start), ({ description, tail }) => {
      this.#isUnborn = false
      const connected = connectedFrame(this.#stream.name, description, this.#start.next, tail)
      return { bytes: Buffer.concat([connected, bytes]), isEnd }
    })
  }
}

const readInfo = (stream: DurableStream<unknown>, { life }: Cursor) =>
  stream.info.pipe(
    Effect.filterOrFail((info) => info.life === life),
    Effect.mapError(() => new StreamDeleted({ stream: stream.name }))
  )

const closedFrames = (next: number): Frames => ({
  bytes: Buffer.from(`event: closed\ndata: {"nextOffset":"${toOffset(next)}"}\n\n`),
  isEnd: true
})

/**
 * Returns the frame that tells the follower its place and the life of the stream. It comes first in two cases: for an
 * `EventSource`, which can compare lives by this frame alone, and when there is nothing to catch up with, so that a follower
 * whose connection is lost before the first event misses nothing either (promise 4).
 */
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
