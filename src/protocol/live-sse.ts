/**
 * `GET` with `live=sse`: the events that exist from the offset on, and then each as it comes (docs/protocol.md 14).
 */
import { Clock, Effect, Random } from "effect"
import { consumeBlock } from "../event/event-block.ts"
import type { Answer } from "../http/exchange.ts"
import type { RouteRequest } from "../http/router.ts"
import type { Followers } from "../manager/followers.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import type { FollowingRenderer, Frames } from "../stream-http/following.ts"
import { followingFromRead, streamFollowing } from "../stream-http/following.ts"
import { HeldText } from "../stream-http/held-text.ts"
import { dataPieces } from "../stream-http/joined-events.ts"
import { openFollowing } from "../stream-http/open-following.ts"
import { lastSeen, lifeHeader } from "../stream-http/reading-start.ts"
import { lastEventOffset } from "../stream-http/request-parameters.ts"
import { endsWhole } from "../stream-http/whole-text.ts"
import type { From, ReadError } from "../stream/durable-stream.ts"
import { cursorOf, nextCursor } from "./cursor.ts"
import type { Place, Reading } from "./reading.ts"
import { openReading, placeOf } from "./reading.ts"
import type { Control } from "./sse-frames.ts"
import { controlFrame, dataFrames, encodingOf, sharedFrames, textFrames } from "./sse-frames.ts"
import { addressedStream } from "./stream-address.ts"

/** PROTOCOL 10.2: so that caches between us and many readers can join them. Spread, so that not all come back at once. */
const lifeMillis = 60_000
const lifeSpreadMillis = 5_000

export const liveSse = (manager: StreamManager["Service"], followers: Followers) =>
  Effect.fnUntraced(function*(request: RouteRequest, offset: From) {
    const seen = yield* lastSeen(request)
    const resumed = seen === undefined ? undefined : yield* lastEventOffset(seen)
    const name = yield* addressedStream(request)
    const opening = openReading(manager, request, resumed ?? offset)
    return yield* openFollowing(followers, name, resumed !== undefined, opening, (reading) => answer(request, reading))
  })

const answer = Effect.fnUntraced(function*(request: RouteRequest, reading: Reading) {
  const { description, start, stream } = reading
  const headers: Record<string, string> = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-store",
    // Proxies of the nginx family would collect events otherwise.
    "x-accel-buffering": "no",
    ...lifeHeader(description)
  }
  if (encodingOf(description.contentType) === "base64") headers["stream-sse-data-encoding"] = "base64"
  const cursor = yield* nextCursor(request.query.get("cursor") ?? undefined, description.id)
  const renderer = makeRenderer(reading, cursor, yield* Clock.Clock)
  const body = yield* followingFromRead(streamFollowing(stream, start), renderer, {
    target: request.target,
    keepAlive,
    endsAfterMillis: yield* Random.nextIntBetween(lifeMillis, lifeMillis + lifeSpreadMillis)
  })
  return { status: 200, headers, body } satisfies Answer as Answer
})

/** One for all: a follower's own would keep alive the memory around it, which Node shares out. */
const keepAlive = Buffer.from(": ping\n")

/** A batch of events and the control event behind it. Text waits until it ends with a whole character. */
const makeRenderer = (
  { description, start, stream }: Reading,
  firstCursor: number,
  clock: Clock.Clock
): FollowingRenderer<ReadError> => {
  const encoding = encodingOf(description.contentType)
  const held = new HeldText(() => Number(clock.currentTimeNanosUnsafe() / 1_000_000n))
  let streamCursor = firstCursor
  /** The offset behind the events that were sent. */
  let sent = start.next

  /** Makes frames of events up to `sent`, and of the place there. */
  const withControl = (bytes: (control: Control) => Uint8Array): Effect.Effect<Frames, ReadError> =>
    Effect.map(placeOf(stream, { life: start.life, next: sent }), (place) => {
      const control = controlAt(place)
      return { bytes: bytes(control), isEnd: control.isEnd }
    })

  const controlAt = ({ isEnd, isTail }: Place): Control => {
    streamCursor = Math.max(streamCursor, cursorOf(clock.currentTimeMillisUnsafe(), description.id))
    return { isTail, isEnd, next: sent, cursor: streamCursor }
  }

  const renderText = (text: ReadonlyArray<Uint8Array> | undefined): Effect.Effect<Frames | undefined, ReadError> => {
    if (text === undefined) return Effect.undefined
    sent += text.length
    return withControl((control) => textFrames(Buffer.concat(text), control))
  }

  return {
    render: (block, fill) => {
      const isHeld = held.millisLeft() !== undefined
      if (block.count === 0) {
        return isHeld ? renderText(held.flush()) : withControl((control) => Buffer.from(controlFrame(control)))
      }
      if (isHeld || (encoding === "text" && !endsWhole(block))) {
        // Copies: the pieces outlive the block.
        const pieces = consumeBlock(block, (block) => dataPieces(block).map((bytes) => Buffer.from(bytes)))
        return renderText(held.add(pieces))
      }
      sent = block.first + block.count
      return withControl((control) => dataFrames(block, encoding, control, fill))
    },
    renderShared: (block) => {
      if (encoding === "text" && !endsWhole(block)) return undefined
      const { closed, tail } = stream.live.place()
      sent = block.first + block.count
      const isTail = sent >= tail
      return sharedFrames(block, encoding, controlAt({ isTail, isEnd: isTail && closed }))
    },
    holdsMillis: held.millisLeft
  }
}
