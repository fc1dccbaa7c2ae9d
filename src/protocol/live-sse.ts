/**
 * `GET` with `live=sse`: the events that exist from the offset on, and then each as it comes (docs/protocol.md 14).
 */
import { Clock, Effect, Random, Semaphore } from "effect"
import type { EventBlock } from "../domain/types.ts"
import { consumeBlock } from "../event/event-block.ts"
import type { Answer } from "../http/exchange.ts"
import type { RouteRequest } from "../http/router.ts"
import type { Followers } from "../manager/followers.ts"
import type { StreamManager } from "../manager/stream-manager.ts"
import type { FollowingRenderer, Frames } from "../stream-http/following.ts"
import { followingFromRead, StreamFollowing } from "../stream-http/following.ts"
import { HeldText } from "../stream-http/held-text.ts"
import type { Fill } from "../stream-http/joined-events.ts"
import { dataPieces } from "../stream-http/joined-events.ts"
import { openFollowing } from "../stream-http/open-following.ts"
import { lastSeen, lifeHeader } from "../stream-http/reading-start.ts"
import { lastEventOffset } from "../stream-http/request-parameters.ts"
import { endsWhole } from "../stream-http/whole-text.ts"
import type { From, ReadError } from "../stream/durable-stream.ts"
import { cursorOf, nextCursor } from "./cursor.ts"
import type { Reading } from "./reading.ts"
import { openReading, placeOf } from "./reading.ts"
import type { Control, Encoding } from "./sse-frames.ts"
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
  const renderer = new BatchRenderer(reading, cursor, yield* Clock.Clock)
  const body = yield* followingFromRead(new StreamFollowing(stream, start), renderer, {
    target: request.target,
    keepAlive,
    endsAfterMillis: yield* Random.nextIntBetween(lifeMillis, lifeMillis + lifeSpreadMillis)
  })
  return { status: 200, headers, body } satisfies Answer as Answer
})

/** One for all: a follower's own would keep alive the memory around it, which Node shares out. */
const keepAlive = Buffer.from(": ping\n")

/** A megabyte of line breaks is a million lines of frames: 60 ms, for each follower that catches up. */
const textAtOnceMax = 256 * 1024

const textTurns = Semaphore.makeUnsafe(1)

/** Renders a large text in a turn of its own, and serves others before and after. */
const inTurn = <A, E>(render: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  textTurns.withPermit(Effect.andThen(Effect.yieldNow, Effect.tap(render, () => Effect.yieldNow)))

const bytesOf = ({ count, ends, starts }: EventBlock): number => count === 0 ? 0 : ends[count - 1]! - starts[0]!

/** A batch of events and the control event behind it. Text waits until it ends with a whole character. */
class BatchRenderer implements FollowingRenderer<ReadError> {
  readonly #reading: Reading
  readonly #encoding: Encoding
  readonly #clock: Clock.Clock
  /** Undefined for data that is not text. */
  readonly #held: HeldText | undefined
  #streamCursor: number
  /** The offset behind the events that were sent. */
  #sent: number

  constructor(reading: Reading, streamCursor: number, clock: Clock.Clock) {
    this.#reading = reading
    this.#encoding = encodingOf(reading.description.contentType)
    this.#clock = clock
    this.#held = this.#encoding === "text"
      ? new HeldText(() => Number(clock.currentTimeNanosUnsafe() / 1_000_000n))
      : undefined
    this.#streamCursor = streamCursor
    this.#sent = reading.start.next
  }

  render(block: EventBlock, fill: Fill): Effect.Effect<Frames | undefined, ReadError> {
    return this.#held !== undefined && bytesOf(block) > textAtOnceMax
      ? inTurn(Effect.suspend(() => this.#render(block, fill)))
      : this.#render(block, fill)
  }

  #render(block: EventBlock, fill: Fill): Effect.Effect<Frames | undefined, ReadError> {
    const held = this.#held
    const isHeld = held?.millisLeft() !== undefined
    if (block.count === 0) {
      return held !== undefined && isHeld
        ? this.#textFrames(held.flush())
        : this.#withControl((control) => Buffer.from(controlFrame(control)))
    }
    if (held !== undefined && (isHeld || !endsWhole(block))) {
      // Copies: the pieces outlive the block.
      const pieces = consumeBlock(block, (block) => dataPieces(block).map((bytes) => Buffer.from(bytes)))
      return this.#textFrames(held.add(pieces))
    }
    this.#sent = block.first + block.count
    return this.#withControl((control) => dataFrames(block, this.#encoding, control, fill))
  }

  renderShared(block: EventBlock): Frames | undefined {
    if (this.#held !== undefined && !endsWhole(block)) return undefined
    const { closed, tail } = this.#reading.stream.infoUnsafe()
    this.#sent = block.first + block.count
    const isTail = this.#sent >= tail
    return sharedFrames(block, this.#encoding, this.#controlAt(isTail, isTail && closed))
  }

  holdsMillis(): number | undefined {
    return this.#held?.millisLeft()
  }

  #textFrames(text: ReadonlyArray<Uint8Array> | undefined): Effect.Effect<Frames | undefined, ReadError> {
    if (text === undefined) return Effect.undefined
    this.#sent += text.length
    return this.#withControl((control) => textFrames(Buffer.concat(text), control))
  }

  /** Makes frames that end with the events sent so far, and with the place there. */
  #withControl(bytes: (control: Control) => Uint8Array): Effect.Effect<Frames, ReadError> {
    const { start, stream } = this.#reading
    return Effect.map(placeOf(stream, { life: start.life, next: this.#sent }), ({ isEnd, isTail }) => {
      const control = this.#controlAt(isTail, isEnd)
      return { bytes: bytes(control), isEnd }
    })
  }

  #controlAt(isTail: boolean, isEnd: boolean): Control {
    const interval = cursorOf(this.#clock.currentTimeMillisUnsafe(), this.#reading.description.id)
    this.#streamCursor = Math.max(this.#streamCursor, interval)
    return { isTail, isEnd, next: this.#sent, cursor: this.#streamCursor }
  }
}
