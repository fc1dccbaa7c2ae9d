/**
 * One durable stream: append, read, follow, delete. No hook, no network, no disk in sight.
 *
 * A single writer turns waiting appends into commits, one at a time: whatever arrives while a flush is under way shares
 * the next one (group commit). Offsets are given when the commit is put together, so a failed commit leaves no hole.
 * Readers see only what is durable (promise 2); followers hold an offset and are woken to read (promise 6).
 */
import { type Cause, DateTime, Effect, Exit, Option, Scope, Stream } from "effect"
import type { WaitingAppend } from "./append-batch.ts"
import { toBatch } from "./append-batch.ts"
import type { AppendError, AppendRequest, Cursor, DurableStream, From, ReadError } from "./durable-stream.ts"
import { emptyBlock, parseEvent, sliceBlock } from "./event-block.ts"
import { RecentEvents } from "./recent-events.ts"
import { searchSince } from "./search-since.ts"
import type { Log, StreamDescription } from "./storage.ts"
import { Storage } from "./storage.ts"
import type { LogDamaged, StorageFull } from "./errors.ts"
import type { EventBlock, StreamEvent, StreamName } from "./types.ts"
import { Overloaded, StorageFailed, StreamDeleted, StreamNotFound } from "./errors.ts"

/** What one read takes at the most: large enough to amortise a system call, small enough to hold one per reader. */
const readBytes = 512 * 1024

/** What one commit takes at the most, so that recovery looks back a bounded way. A single larger append passes alone. */
const commitBytesMax = 1024 * 1024

/** Payload bytes that may wait for the disk: a minute of a slow disk, not a heap full of it. */
const waitingBytesMax = 64 * 1024 * 1024

/** What a line of the log has besides name and data, about. */
const lineOverhead = 100

export const makeDurableStream = Effect.fnUntraced(function*(name: StreamName) {
  const storage = yield* Storage
  const services = yield* Effect.context<never>()

  let log: Log | undefined
  let logScope: Scope.Closeable | undefined
  let life = 0
  let tail = 0
  let closed = false
  const recent = new RecentEvents()

  const waiting: Array<Waiting> = []
  let waitingBytes = 0
  let writing = false
  const sleepers = new Set<() => void>()

  const inLogScope = <E>(opening: Effect.Effect<Log, E, Scope.Scope>) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const opened = yield* Scope.provide(opening, scope).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      log = opened
      logScope = scope
      return opened
    })

  yield* inLogScope(storage.open(name)).pipe(
    Effect.tap((opened) =>
      Effect.sync(() => {
        tail = opened.tail
        closed = isClosed(opened.state)
      })
    ),
    Effect.catchTag("StreamNotFound", () => Effect.void)
  )
  yield* Effect.addFinalizer((exit) =>
    Effect.andThen(
      untilStill,
      Effect.suspend(() => logScope === undefined ? Effect.void : Scope.close(logScope, exit))
    )
  )

  const untilStill = Effect.callback<void>((resume) => {
    if (!writing) return resume(Effect.void)
    waiting.push({ kind: "still", done: () => resume(Effect.void) })
  })

  const wake = () => {
    if (sleepers.size === 0) return
    const woken = [...sleepers]
    sleepers.clear()
    for (const resume of woken) resume()
  }

  const enqueue = (entry: Waiting) => {
    waiting.push(entry)
    if (writing) return
    writing = true
    Effect.runForkWith(services)(writer)
  }

  const writer: Effect.Effect<void> = Effect.gen(function*() {
    // Let every request that has already arrived in this turn of the event loop join the first commit.
    yield* Effect.yieldNow
    while (waiting.length > 0) {
      const first = waiting[0]!
      if (first.kind === "append") {
        const taken = takeWaiting()
        yield* commit(taken).pipe(Effect.onError((cause) =>
          Effect.sync(() => {
            for (const entry of taken) entry.done(Exit.failCause(cause))
          })
        ))
      } else {
        waiting.shift()
        if (first.kind === "delete") first.done(yield* Effect.exit(forget))
        else first.done()
      }
    }
    writing = false
  }).pipe(Effect.onError((cause) =>
    // A defect of ours must not leave anybody waiting, nor the stream without a writer.
    Effect.sync(() => {
      writing = false
      waitingBytes = 0
      for (const entry of waiting.splice(0)) {
        if (entry.kind === "still") entry.done()
        else entry.done(Exit.failCause(cause))
      }
    })
  ))

  const commit = Effect.fnUntraced(function*(taken: ReadonlyArray<WaitingAppend>) {
    const now = DateTime.formatIso(yield* DateTime.now)
    const batch = toBatch(name, taken, tail, closed, now)
    if (batch.accepted.length > 0) {
      const state = batch.closes ? closedState : undefined
      const commit = { events: batch.events, state }
      const exit = yield* Effect.exit(
        log === undefined
          ? Effect.asVoid(inLogScope(storage.create(describe(name, now), commit)))
          : log.commit(commit)
      )
      if (Exit.isFailure(exit)) {
        // What was refused because of an event that is now not there has to be judged again.
        waiting.unshift(...batch.refused.map(([entry]) => entry))
        for (const entry of batch.refused) waitingBytes += entry[0].bytes
        const failure = yield* explain(exit.cause)
        for (const [entry] of batch.accepted) entry.done(failure)
        return
      }
      tail += batch.events.count
      closed = closed || batch.closes
      recent.add(batch.events)
      for (const [entry, from] of batch.accepted) {
        entry.done(Exit.succeed(sliceBlock(batch.events, from, entry.request.data.length)))
      }
    }
    for (const [entry, error] of batch.refused) entry.done(Exit.fail(error))
    if (batch.accepted.length > 0) wake()
  })

  /** A log that somebody removed from under us is gone: its followers are told, and the next append starts anew. */
  const explain = (cause: Cause.Cause<StorageFailed | StorageFull | StreamNotFound>) =>
    Effect.exit(Effect.catchTag(Effect.failCause(cause), "StreamNotFound", () =>
      Effect.andThen(
        reset,
        new StorageFailed({
          message:
            `The log of ${JSON.stringify(name)} was removed while the server was using it; its events are gone. ` +
            "The next append starts a new stream."
        })
      )))

  /** As many appends as one commit takes, in order; at least the first. */
  const takeWaiting = (): ReadonlyArray<WaitingAppend> => {
    const taken: Array<WaitingAppend> = []
    let bytes = 0
    for (const entry of waiting) {
      if (entry.kind !== "append" || (bytes > 0 && bytes + entry.bytes > commitBytesMax)) break
      taken.push(entry)
      bytes += entry.bytes
    }
    waiting.splice(0, taken.length)
    waitingBytes -= bytes
    return taken
  }

  const forget = Effect.gen(function*() {
    if (log === undefined) return yield* new StreamNotFound({ stream: name })
    yield* storage.delete(name).pipe(
      // Taken away by somebody else: gone all the same.
      Effect.tapErrorTag("StreamNotFound", () => reset)
    )
    yield* reset
  })

  const reset = Effect.suspend(() => {
    const scope = logScope
    log = undefined
    logScope = undefined
    life++
    tail = 0
    closed = false
    recent.clear()
    wake()
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })

  const append = (request: AppendRequest) =>
    Effect.callback<EventBlock, AppendError>((resume) => {
      if (request.data.length === 0 && request.close !== true) return resume(Effect.succeed(emptyBlock(tail)))
      const bytes = request.data.reduce((sum, { text }) => sum + text.length + name.length + lineOverhead, 0)
      if (waitingBytes + bytes > waitingBytesMax) {
        return resume(Effect.fail(
          new Overloaded({
            message: `Too many appends to ${JSON.stringify(name)} are waiting for the disk; try again.`
          })
        ))
      }
      waitingBytes += bytes
      enqueue({ kind: "append", request, bytes, done: resume })
    })

  /** Durable events from memory when they are new, else from the log. */
  const readAt = (next: number, bytesMax: number): Effect.Effect<EventBlock, StorageFailed | LogDamaged> => {
    if (next >= tail || log === undefined) return Effect.succeed(emptyBlock(next))
    const known = recent.from(next, bytesMax)
    if (known !== undefined) return Effect.succeed(known)
    const at = tail
    return Effect.map(log.read(next, bytesMax), (block) => sliceBlock(block, next, at - next))
  }

  const read = (cursor: Cursor, bytesMax = readBytes): Effect.Effect<EventBlock, ReadError> =>
    Effect.suspend((): Effect.Effect<EventBlock, ReadError> =>
      cursor.life !== life ? Effect.fail(new StreamDeleted({ stream: name })) : readAt(cursor.next, bytesMax)
    )

  const changed = (cursor: Cursor) =>
    Effect.callback<void>((resume) => {
      if (cursor.life !== life || cursor.next < tail || closed) return resume(Effect.void)
      const sleeper = () => resume(Effect.void)
      sleepers.add(sleeper)
      return Effect.sync(() => sleepers.delete(sleeper))
    })

  const next = (cursor: Cursor, bytesMax?: number): Effect.Effect<EventBlock, ReadError> =>
    Effect.suspend(() =>
      cursor.life === life && cursor.next >= tail && !closed
        ? Effect.andThen(changed(cursor), next(cursor, bytesMax))
        : read(cursor, bytesMax)
    )

  const cursor = (from: From) =>
    Effect.sync((): Cursor => ({ life, next: from === "beginning" ? 0 : from === "now" ? tail : from }))

  const subscribe = (from: From): Stream.Stream<StreamEvent, ReadError> =>
    Stream.unwrap(Effect.map(cursor(from), (start) =>
      Stream.paginate(start, (at) =>
        Effect.map(next(at), (block) => [
          Array.from({ length: block.count }, (_, i) => parseEvent(block, i)),
          block.count === 0 ? Option.none() : Option.some({ life: at.life, next: block.first + block.count })
        ]))))

  const stream: DurableStream = {
    name,
    append,
    info: Effect.suspend(() =>
      log === undefined
        ? Effect.fail(new StreamNotFound({ stream: name }))
        : Effect.succeed({ description: log.description, tail, closed })
    ),
    cursor,
    read,
    next,
    offsetSince: (time) => Effect.suspend(() => searchSince(readAt, tail, time)),
    subscribe,
    delete: Effect.callback<void, StreamNotFound | StorageFailed>((resume) => {
      enqueue({ kind: "delete", done: resume })
    })
  }
  return stream
})

type Waiting =
  | WaitingAppend
  | { readonly kind: "delete"; readonly done: (exit: Exit.Exit<void, StreamNotFound | StorageFailed>) => void }
  | { readonly kind: "still"; readonly done: () => void }

/** The state of a stream that takes no more events (docs/storage-format.md 4). */
const closedState = `{"closed":true}`

const isClosed = (state: string | undefined): boolean => state === closedState

const describe = (name: StreamName, createdAt: string): StreamDescription => ({
  name,
  contentType: "application/json",
  createdAt
})
