/**
 * `GET` with `live=sse`: what is there from the offset on, and then what comes (docs/protocol.md 14).
 */
import { Clock, Effect, Option, Random } from "effect"
import type { EventBlock } from "../domain/types.ts"
import { emptyBlock } from "../event/event-block.ts"
import type { Answer, Streamed } from "../http/exchange.ts"
import type { RouteRequest } from "../http/router.ts"
import type { Followers } from "../manager/followers.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import { placeHeaders } from "../stream-http/append-headers.ts"
import { logFailure, lostPlace, problemFrame } from "../stream-http/following.ts"
import { eventBytes } from "../stream-http/messages.ts"
import { lastSeen, lifeHeader } from "../stream-http/reading-start.ts"
import { lastEventOffset } from "../stream-http/request-parameters.ts"
import { endsWhole, wholePieces } from "../stream-http/whole-text.ts"
import type { Cursor, From, ReadError } from "../stream/durable-stream.ts"
import { cursorOf, nextCursor } from "./cursor.ts"
import type { Place, Reading } from "./reading.ts"
import { openReading, placeOf } from "./reading.ts"
import type { Control } from "./sse-frames.ts"
import { controlFrame, encodingOf, sharedFrames, textFrames } from "./sse-frames.ts"
import { addressed } from "./stream-address.ts"

/** PROTOCOL 10.2: so that caches between us and many readers can join them. Spread, so that not all come back at once. */
const lifeMillis = 60_000
const lifeSpreadMillis = 5_000

/** How long the rest of a character is waited for: whoever cuts text into pieces sends the next one soon. */
const restMillis = 1_000

/** How much text may wait for the rest of a character: 64 appends of 64 KiB, each of which would have to end within one. */
const heldBytesMax = 4 * 1024 * 1024

export const liveSse = (manager: StreamManager["Service"], followers: Followers) =>
  Effect.fnUntraced(function*(request: RouteRequest, offset: From) {
    const seen = yield* lastSeen(request)
    const resumed = seen === undefined ? undefined : yield* lastEventOffset(seen)
    yield* followers.enter(yield* addressed(request))
    const opening = openReading(manager, request, resumed ?? offset)
    const reading = yield* resumed === undefined ? opening : Effect.catch(opening, lostPlace)
    if ("status" in reading) return reading
    const { closed, description, start, tail } = reading
    if (resumed !== undefined && closed && start.next >= tail) return ended(reading)
    const headers: Record<string, string> = {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-store",
      // Proxies of the nginx family would collect events otherwise.
      "x-accel-buffering": "no",
      ...lifeHeader(description)
    }
    if (encodingOf(description.contentType) === "base64") headers["stream-sse-data-encoding"] = "base64"
    const cursor = yield* nextCursor(request.query.get("cursor") ?? undefined, description.id)
    const { begin, live, pull } = following(reading, cursor, yield* Clock.Clock, request.target)
    // What cannot be read is refused, as it is without following: nothing was answered yet.
    yield* begin
    const body: Streamed = {
      _tag: "Streamed",
      keepAlive,
      endsAfterMillis: yield* Random.nextIntBetween(lifeMillis, lifeMillis + lifeSpreadMillis),
      live,
      pull
    }
    return { status: 200, headers, body } satisfies Answer as Answer
  })

/** An `EventSource` that has all of a closed stream is told not to come back (WHATWG HTML 9.2.3). */
const ended = ({ description, tail }: Reading): Answer => ({
  status: 204,
  headers: { ...placeHeaders(tail, true), ...lifeHeader(description), "cache-control": "no-store" },
  body: undefined
})

/** One for all: a follower's own would keep alive the memory around it, which Node shares out. */
const keepAlive = Buffer.from(": ping\n")

interface Following {
  /** Reads what is there, so that a failure can be the answer. It is sent first. */
  readonly begin: Effect.Effect<void, ReadError>
  readonly pull: Streamed["pull"]
  readonly live: NonNullable<Streamed["live"]>
}

/** The frames, one batch after the other. A failure is told as the last one, and logged if it is the server's. */
const following = (
  { description, start, stream }: Reading,
  firstCursor: number,
  clock: Clock.Clock,
  target: string
): Following => {
  const encoding = encodingOf(description.contentType)
  let streamCursor = firstCursor
  let over = false
  let first: Uint8Array | undefined
  let begun = false
  /** Up to where events were read, and up to where they were sent; between them is `held`. */
  let read: Cursor = start
  let sent = start.next
  let held: ReadonlyArray<Uint8Array> = []
  /** When the first of them came, in milliseconds. */
  let heldSince = 0

  const now = () => Number(clock.currentTimeNanosUnsafe() / 1_000_000n)

  /** The next events; none where there are none, or none in time for what is held. */
  const events = Effect.suspend((): Effect.Effect<EventBlock, ReadError> => {
    if (!begun) return stream.read(read)
    if (held.length === 0) return stream.next(read)
    const none = () => emptyBlock(read.next)
    const left = heldSince + restMillis - now()
    return left <= 0
      ? Effect.sync(none)
      : Effect.map(Effect.timeoutOption(stream.next(read), left), Option.getOrElse(none))
  })

  /** A batch as frames; undefined where all there is has to wait for the rest of a character. */
  const frames = (
    block: EventBlock,
    control: (next: number) => Effect.Effect<Control, ReadError>
  ): Effect.Effect<Uint8Array | undefined, ReadError> => {
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
    if (whole > 0 || held.length === 0) heldSince = now()
    held = pieces.slice(whole)
    if (whole === 0 && bytesOf(held) < heldBytesMax) return Effect.undefined
    const sending = whole === 0 ? held : pieces.slice(0, whole)
    if (whole === 0) held = []
    sent += sending.length
    return Effect.map(control(sent), (control) => textFrames(Buffer.concat(sending), control))
  }

  const control = (next: number) =>
    Effect.map(placeOf(stream, { life: start.life, next }), (place) => controlAt(next, place))

  const controlAt = (next: number, place: Place): Control => {
    over = place.isEnd
    streamCursor = Math.max(streamCursor, cursorOf(clock.currentTimeMillisUnsafe(), description.id))
    return { ...place, next, cursor: streamCursor }
  }

  const some = Effect.flatMap(events, (block) => {
    begun = true
    return frames(block, control)
  })
  const batch: Effect.Effect<Uint8Array, ReadError> = Effect.filterOrElse(
    some,
    (bytes) => bytes !== undefined,
    () => batch
  )
  const told = Effect.catch(batch, (refusal) => {
    over = true
    return Effect.as(logFailure(refusal, target), problemFrame(refusal))
  })
  const pull = Effect.suspend(() => {
    const bytes = first
    first = undefined
    return bytes !== undefined ? Effect.succeed(bytes) : over ? Effect.undefined : told
  })

  return {
    begin: Effect.map(some, (bytes) => void (first = bytes)),
    pull,
    live: {
      take: () => {
        if (first !== undefined || over || held.length > 0) return "pull"
        const block = stream.nextUnsafe(read)
        if (block === undefined) return undefined
        if (block === "behind" || (encoding === "text" && !endsWhole(block))) return "pull"
        sent = block.first + block.count
        read = { life: read.life, next: sent }
        const { closed, tail } = stream.infoUnsafe()
        const isTail = sent >= tail
        return sharedFrames(block, encoding, controlAt(sent, { isTail, isEnd: isTail && closed }))
      },
      wait: stream.waitUnsafe,
      leave: stream.leaveUnsafe
    }
  }
}

const bytesOf = (pieces: ReadonlyArray<Uint8Array>): number => {
  let bytes = 0
  for (const piece of pieces) bytes += piece.length
  return bytes
}
