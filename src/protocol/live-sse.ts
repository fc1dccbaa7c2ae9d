/**
 * `GET` with `live=sse`: what is there from the offset on, and then what comes (docs/protocol.md 14).
 */
import { Clock, Effect, Option, Random } from "effect"
import type { Cursor, From, ReadError } from "../durable-streams/durable-stream.ts"
import { emptyBlock } from "../durable-streams/event-block.ts"
import type { Followers } from "../durable-streams/followers.ts"
import { lastEventOffset } from "../durable-streams/request-parameters.ts"
import type { StreamManager } from "../durable-streams/stream-manager.ts"
import type { EventBlock } from "../durable-streams/types.ts"
import type { Streamed } from "../web/exchange.ts"
import type { RouteRequest } from "../web/router.ts"
import { currentCursor, nextCursor } from "./cursor.ts"
import { eventBytes } from "./messages.ts"
import type { Place, Reading } from "./reading.ts"
import { openReading, placeOf } from "./reading.ts"
import type { Control } from "./sse-frames.ts"
import { controlFrame, encodingOf, sharedFrames, textFrames } from "./sse-frames.ts"
import { addressed } from "./stream-address.ts"
import { endsWhole, wholePieces } from "./whole-text.ts"

/** PROTOCOL 10.2: so that caches between us and many readers can join them. Spread, so that not all come back at once. */
const lifeMillis = 60_000
const lifeSpreadMillis = 5_000

/** How long the rest of a character is waited for: whoever cuts text into pieces sends the next one soon. */
const restMillis = 1_000

export const liveSse = (manager: StreamManager["Service"], followers: Followers) =>
  Effect.fnUntraced(function*(request: RouteRequest, offset: From) {
    const resumed = request.header("last-event-id")
    const from = resumed === undefined ? offset : yield* lastEventOffset(resumed)
    yield* followers.enter(yield* addressed(request))
    const reading = yield* openReading(manager, request, from)
    const headers: Record<string, string> = {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-store",
      // Proxies of the nginx family would collect events otherwise.
      "x-accel-buffering": "no"
    }
    if (encodingOf(reading.contentType) === "base64") headers["stream-sse-data-encoding"] = "base64"
    const cursor = yield* nextCursor(request.query.get("cursor") ?? undefined)
    const body: Streamed = {
      _tag: "Streamed",
      keepAlive,
      endsAfterMillis: yield* Random.nextIntBetween(lifeMillis, lifeMillis + lifeSpreadMillis),
      ...following(reading, cursor, yield* Clock.Clock)
    }
    return { status: 200, headers, body }
  })

/** One for all: a follower's own would keep alive the memory around it, which Node shares out. */
const keepAlive = Buffer.from(": ping\n\n")

/** The frames, one batch after the other. Whatever ends them, whoever reconnects is told of it. */
const following = (
  { contentType, start, stream }: Reading,
  firstCursor: number,
  clock: Clock.Clock
): Pick<Streamed, "pull" | "live"> => {
  const encoding = encodingOf(contentType)
  let streamCursor = firstCursor
  let over = false
  let begun = false
  /** Up to where events were read, and up to where they were sent; between them is `held`. */
  let read: Cursor = start
  let sent = start.next
  let held: ReadonlyArray<Uint8Array> = []

  /** The next events; none where there are none, or none in time for what is held. */
  const events = Effect.suspend((): Effect.Effect<EventBlock, ReadError> => {
    const none = () => emptyBlock(read.next)
    if (!begun) return stream.read(read)
    return held.length === 0
      ? stream.next(read)
      : Effect.map(Effect.timeoutOption(stream.next(read), restMillis), Option.getOrElse(none))
  })

  /** A batch as frames; undefined where all there is has to wait for the rest of a character. */
  const frames = (block: EventBlock, control: (next: number) => Effect.Effect<Control, unknown>) => {
    const isLast = block.count === 0
    read = { life: read.life, next: block.first + block.count }
    if (isLast ? held.length === 0 : held.length === 0 && (encoding !== "text" || endsWhole(block))) {
      sent = read.next
      return Effect.map(
        control(sent),
        (control) => isLast ? Buffer.from(controlFrame(control)) : sharedFrames(block, encoding, control)
      )
    }
    const pieces = [...held, ...eventBytes(block).map((bytes) => Buffer.from(bytes))]
    block.release?.()
    const whole = isLast ? pieces.length : wholePieces(pieces)
    held = pieces.slice(whole)
    if (whole === 0) return Effect.undefined
    sent += whole
    return Effect.map(control(sent), (control) => textFrames(Buffer.concat(pieces.slice(0, whole)), control))
  }

  const control = (next: number) =>
    Effect.map(placeOf(stream, { life: start.life, next }), (place) => controlAt(next, place))

  const controlAt = (next: number, place: Place): Control => {
    over = place.isEnd
    streamCursor = Math.max(streamCursor, currentCursor(clock.currentTimeMillisUnsafe()))
    return { ...place, next, cursor: streamCursor }
  }

  const batch: Effect.Effect<Uint8Array, unknown> = Effect.flatMap(events, (block) => {
    begun = true
    return Effect.filterOrElse(frames(block, control), (bytes) => bytes !== undefined, () => batch)
  })
  const pull = Effect.suspend(() => over ? Effect.undefined : Effect.orElseSucceed(batch, () => undefined))

  const { leave, place, take, wait } = stream.live
  return {
    pull,
    live: {
      take: () => {
        if (!begun || over || held.length > 0) return "pull"
        const block = take(read)
        if (block === undefined) return undefined
        if (block === "behind" || (encoding === "text" && !endsWhole(block))) return "pull"
        sent = block.first + block.count
        read = { life: read.life, next: sent }
        const { closed, tail } = place()
        const isTail = sent >= tail
        return sharedFrames(block, encoding, controlAt(sent, { isTail, isEnd: isTail && closed }))
      },
      wait,
      leave
    }
  }
}
