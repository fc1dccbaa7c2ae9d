/**
 * A following as an answer: the events that exist, then each new one, once (promise 4). Every API follows this way and
 * passes its own source and renderer. A failure in the middle is the last frame, and is logged when it is the server's.
 */
import { Effect, Option } from "effect"
import type { Refusal } from "../domain/refusal.ts"
import type { EventBlock } from "../domain/types.ts"
import { consumeBlock, emptyBlock } from "../event/event-block.ts"
import type { Streamed } from "../http/exchange.ts"
import { PieceMemory } from "../http/exchange.ts"
import type { Cursor, DurableStream, ReadError } from "../stream/durable-stream.ts"
import type { Fill } from "./joined-events.ts"
import { logFailure, problemFrame } from "./problem-frame.ts"

/** Events from a place on, in order. A source serves one follower, and stands where that follower has come to. */
export interface FollowingSource<E> {
  /**
   * Returns the events behind the place; an empty block at the tail. Fails when they cannot be read or the place is gone.
   * The caller moves the source behind the block, and consumes the block.
   */
  readonly read: Effect.Effect<EventBlock, E>
  /** Like `read`, but waits at the tail. An empty block means that there will never be more. */
  readonly next: Effect.Effect<EventBlock, E>
  /**
   * Returns the events behind the place when they are in memory, in a block that all followers at this place share;
   * undefined when there are none yet. "behind": only `next` can tell.
   */
  peek(): EventBlock | "behind" | undefined
  /** Moves behind the block. */
  moveBehind(block: EventBlock): void
  /** Calls `wake` once, when `peek` may return something else. */
  wait(wake: () => void): void
  /** Takes the call back: the follower gives up. */
  leave(wake: () => void): void
}

/** Bytes for a follower, and whether they are the last ones. */
export interface Frames {
  readonly bytes: Uint8Array
  readonly isEnd: boolean
}

/** Writes events as frames. A renderer serves one follower, and sees each block once, in order. */
export interface FollowingRenderer<E> {
  /**
   * Returns the frames of a block, or undefined when all of it is held back. It gets an empty block at the end of the
   * source, when it reads first and nothing exists yet, and when it has held events back for long enough. Fails when it
   * cannot say where the follower is. The renderer consumes the block; `fill` is memory for the frames.
   */
  render(block: EventBlock, fill: Fill): Effect.Effect<Frames | undefined, E>
  /** Returns the frames of a shared block; undefined when `render` must do it. The bytes may be shared, too. */
  renderShared(block: EventBlock): Frames | undefined
  /** For how many milliseconds it still holds events back; undefined when it holds none. */
  holdsMillis?(): number | undefined
}

export interface FollowingOptions {
  /** The target of the request, for the log. */
  readonly target: string
  readonly keepAlive: Uint8Array
  readonly endsAfterMillis?: number | undefined
  /** Sent before the events. */
  readonly greeting?: Uint8Array | undefined
}

/** Returns the body of the answer. Never fails: a failure of the source is told in a frame, behind all that was read. */
export const following = <E extends Refusal>(
  source: FollowingSource<E>,
  renderer: FollowingRenderer<E>,
  options: FollowingOptions
): Streamed => {
  const { greeting } = options
  return makeFollowing(source, renderer, options, greeting && { bytes: greeting, isEnd: false }).body
}

/**
 * Returns the body of the answer once the events that exist are read and rendered. Fails when they cannot be: nothing is
 * answered yet, so the follower is refused like any other reader.
 */
export const followingFromRead = <E extends Refusal>(
  source: FollowingSource<E>,
  renderer: FollowingRenderer<E>,
  options: FollowingOptions
): Effect.Effect<Streamed, E> => {
  const { begin, body } = makeFollowing(source, renderer, options, undefined)
  return Effect.as(begin, body)
}

/** Waits for events: false when the source has ended, the server stops, or the time has passed. Fails like the source. */
export const waitForEvents = <E>(
  source: Pick<FollowingSource<E>, "next">,
  stopping: Effect.Effect<void>,
  waitMillis: number
): Effect.Effect<boolean, E> => {
  const news = Effect.map(source.next, (block) => consumeBlock(block, ({ count }) => count > 0))
  // A server that stops sends its followers to the next one, as after a time without news.
  const answered = Effect.raceFirst(news, Effect.as(stopping, false))
  return Effect.map(Effect.timeoutOption(answered, waitMillis), Option.getOrElse(() => false))
}

/** The events of a stream from a place on. A class: ten thousand followers share its methods, and have a field each. */
export class StreamFollowing implements FollowingSource<ReadError> {
  readonly #stream: FollowedStream
  #cursor: Cursor

  constructor(stream: FollowedStream, start: Cursor) {
    this.#stream = stream
    this.#cursor = start
  }

  get read() {
    return Effect.suspend(() => this.#stream.read(this.#cursor))
  }

  get next() {
    return Effect.suspend(() => this.#stream.next(this.#cursor))
  }

  peek() {
    return this.#stream.nextUnsafe(this.#cursor)
  }

  moveBehind({ count, first }: EventBlock): void {
    this.#cursor = { life: this.#cursor.life, next: first + count }
  }

  wait(wake: () => void): void {
    this.#stream.waitUnsafe(wake)
  }

  leave(wake: () => void): void {
    this.#stream.leaveUnsafe(wake)
  }
}

type FollowedStream = Pick<DurableStream<unknown>, "read" | "next" | "nextUnsafe" | "waitUnsafe" | "leaveUnsafe">

const makeFollowing = <E extends Refusal>(
  source: FollowingSource<E>,
  renderer: FollowingRenderer<E>,
  { endsAfterMillis, keepAlive, target }: FollowingOptions,
  first: Frames | undefined
) => {
  const memory = new PieceMemory()
  const fill: Fill = (size, write) => memory.fill(size, write)
  const holdsMillis = () => renderer.holdsMillis?.()
  /** Frames that are made, but not sent. */
  let pending = first
  let isOver = false

  const frames = (events: Effect.Effect<EventBlock, E>) =>
    Effect.flatMap(events, (block) => {
      if (block.count > 0) source.moveBehind(block)
      return renderer.render(block, fill)
    })

  /** The next events; an empty block when none come before the renderer must send the events that it holds back. */
  const events = Effect.suspend(() => {
    const millis = holdsMillis()
    if (millis === undefined) return source.next
    return millis <= 0
      ? Effect.succeed(noEvents)
      : Effect.map(Effect.timeoutOption(source.next, millis), Option.getOrElse(() => noEvents))
  })
  const someFrames: Effect.Effect<Frames, E> = Effect.filterOrElse(
    frames(events),
    (frames) => frames !== undefined,
    () => someFrames
  )
  const nextFrames = Effect.catch(
    someFrames,
    (refusal) => Effect.as(logFailure(refusal, target), { bytes: problemFrame(refusal), isEnd: true })
  )

  const send = ({ bytes, isEnd }: Frames) => {
    isOver = isEnd
    return bytes
  }

  const body: Streamed = {
    _tag: "Streamed",
    keepAlive,
    endsAfterMillis,
    live: {
      take: () => {
        if (pending !== undefined || isOver || holdsMillis() !== undefined) return "pull"
        const block = source.peek()
        if (block === undefined) return undefined
        const frames = block === "behind" ? undefined : renderer.renderShared(block)
        if (block === "behind" || frames === undefined) return "pull"
        source.moveBehind(block)
        return send(frames)
      },
      wait: (wake) => {
        // A follower that only waits keeps no memory.
        memory.forget()
        source.wait(wake)
      },
      leave: (wake) => source.leave(wake)
    },
    pull: Effect.suspend(() => {
      if (isOver) return Effect.undefined
      if (pending === undefined) return Effect.map(nextFrames, send)
      const frames = pending
      pending = undefined
      return Effect.succeed(send(frames))
    })
  }
  return { body, begin: Effect.map(frames(source.read), (frames) => void (pending = frames)) }
}

const noEvents = emptyBlock(0)
