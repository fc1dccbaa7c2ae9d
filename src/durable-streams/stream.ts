/**
 * One durable stream: create, append, read, follow, fork, expire, delete. No hook, no network, no disk in sight.
 *
 * A single writer makes every change, in order (stream-writer.ts). Offsets are given when a commit is put together, so a
 * failed commit leaves no hole. Readers see only what is durable (promise 2); followers hold an offset and are woken to
 * read (promise 6).
 */
import { type Cause, Clock, Effect, Exit, Scope, Stream } from "effect"
import type { WaitingAppend } from "./append-batch.ts"
import { answerAll, answerOf, settle, toBatch } from "./append-batch.ts"
import type {
  Absent,
  Created,
  CreateRequest,
  Cursor,
  DurableStream,
  From,
  LiveStream,
  ReadError,
  Reservation,
  StreamInfo
} from "./durable-stream.ts"
import type { LogDamaged, StorageError, StorageFull, TooManyStreams } from "./errors.ts"
import { SourceGone, StorageFailed, StreamDeleted, StreamExists, StreamGone, StreamNotFound } from "./errors.ts"
import { emptyBlock, layOut, sliceBlock, toFrame } from "./event-block.ts"
import { eventsFrom } from "./event-stream.ts"
import { Lifetime } from "./expiry.ts"
import { findForkPoint, isForked } from "./fork-point.ts"
import { isoTime } from "./iso-time.ts"
import { CurrentLimits } from "./limits.ts"
import { RecentEvents } from "./recent-events.ts"
import { searchSince } from "./search-since.ts"
import { Sleepers } from "./sleepers.ts"
import type { Log, StateChange, StreamDescription } from "./storage.ts"
import { Storage } from "./storage.ts"
import { differenceFrom, newId, toDescription } from "./stream-config.ts"
import { StreamSignals } from "./stream-signals.ts"
import { close, isClosed, keepFor, keepNoMore } from "./stream-state.ts"
import { makeWriter } from "./stream-writer.ts"
import type { EventBlock, StreamName } from "./types.ts"
import { jsonType } from "./types.ts"

/** What one read takes at the most: large enough to amortise a system call, small enough to hold one per reader. */
const readBytes = 512 * 1024

export const makeDurableStream = Effect.fnUntraced(function*(name: StreamName) {
  const storage = yield* Storage
  const signals = yield* StreamSignals
  const services = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const { producersMax } = yield* CurrentLimits

  let log: Log | undefined
  let logScope: Scope.Closeable | undefined
  let life = 0
  let tail = 0
  let closed = false
  let lifetime: Lifetime | undefined
  const recent = new RecentEvents()
  const sleepers = new Sleepers()
  /** Forks that are being made, or were since the stream woke. */
  const reserved = new Set<string>()

  const inLogScope = <E>(opening: Effect.Effect<Log, E, Scope.Scope>) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const opened = yield* Scope.provide(opening, scope).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      log = opened
      logScope = scope
      tail = opened.tail
      closed = isClosed(opened.state)
      lifetime = new Lifetime(opened)
      return opened
    })

  yield* inLogScope(storage.open(name)).pipe(Effect.catchTag("StreamNotFound", () => Effect.void))
  yield* Effect.addFinalizer((exit) =>
    writer.still.pipe(
      Effect.andThen(Effect.suspend(() => log === undefined ? Effect.void : note(log))),
      Effect.andThen(Effect.suspend(() => logScope === undefined ? Effect.void : Scope.close(logScope, exit)))
    )
  )

  /** Notes that the stream is used now. */
  const use = () => {
    if (log === undefined || lifetime?.use(clock.currentTimeMillisUnsafe()) !== true) return
    Effect.runForkWith(services)(note(log))
  }

  const note = (log: Log) =>
    Effect.suspend(() => {
      const at = lifetime?.unnoted
      lifetime?.noted()
      return at === undefined ? Effect.void : log.touch(at)
    })

  const due = (now = clock.currentTimeMillisUnsafe()) => lifetime?.due(now, sleepers.size > 0)

  const isDue = (): boolean => {
    const now = clock.currentTimeMillisUnsafe()
    const at = due(now)
    return at !== undefined && now >= at
  }

  const commit = (taken: ReadonlyArray<WaitingAppend>): Effect.Effect<void> => {
    if (isDue()) {
      return Effect.matchEffect(forget, {
        onSuccess: () => commit(taken),
        onFailure: (error) => Effect.sync(() => answerAll(taken, Exit.fail(error)))
      })
    }
    if (log?.hidden === true) {
      return Effect.sync(() => answerAll(taken, Exit.fail(new StreamGone({ stream: name }))))
    }
    const now = isoTime(clock.currentTimeMillisUnsafe())
    const contentType = log?.description.contentType
    const batch = toBatch({ name, contentType, tail, state: log?.state ?? noState, producersMax }, taken, now)
    if (batch.accepted.length === 0) return Effect.sync(() => settle(batch))
    const description = log?.description ?? { name, contentType: jsonType, createdAt: now, id: newId() }
    const isNew = log === undefined
    const write: Writing = log === undefined ? begin(description, batch.events, batch.state) : log.commit(batch)
    return Effect.matchCauseEffect(write, {
      onSuccess: () => {
        if (!isNew) grown(description, batch.events)
        for (const [entry, first, isLast] of batch.accepted) {
          entry.done(Exit.succeed(answerOf(entry, batch.events, first, isLast)))
        }
        settle(batch)
        sleepers.wake()
        return Effect.void
      },
      onFailure: (cause) => {
        // What has no need to be written because of what is now not there has to be judged again.
        writer.again(batch.settled.map(([entry]) => entry))
        return Effect.map(explain(cause), (failure) => answerAll(batch.accepted.map(([entry]) => entry), failure))
      }
    })
  }

  const writer = yield* makeWriter(name, commit)

  const grown = (description: StreamDescription, events: EventBlock) => {
    tail += events.count
    closed = isClosed(log?.state ?? noState)
    recent.add(events)
    use()
    if (events.count > 0) signals.appended(description, tail)
  }

  const begin = (
    description: StreamDescription,
    events: EventBlock,
    state: ReadonlyArray<StateChange>
  ): Effect.Effect<void, StorageError | StorageFull | TooManyStreams> =>
    Effect.map(inLogScope(storage.create(description, { events, state })), () => {
      recent.add(events)
      signals.created(description)
      if (events.count > 0) signals.appended(description, tail)
    })

  /** A log that somebody removed from under us is gone: its followers are told, and the next append starts anew. */
  const explain = (cause: Cause.Cause<Effect.Error<Writing>>) =>
    Effect.exit(Effect.catchTag(Effect.failCause(cause), "StreamNotFound", () =>
      Effect.andThen(
        reset,
        new StorageFailed({
          message:
            `The log of ${JSON.stringify(name)} was removed while the server was using it; its events are gone. ` +
            "The next append starts a new stream."
        })
      )))

  /** Ends this life of the stream; where forks read it, its log is kept for them. */
  const forget = Effect.gen(function*() {
    if (log === undefined) return
    const { description } = log
    if (yield* isForked(storage, log, reserved)) {
      yield* storage.hide(name)
      yield* reset
      yield* inLogScope(storage.open(name))
      signals.deleted(description)
    } else {
      yield* forgetForGood(description)
    }
  }).pipe(
    // Taken away by somebody else: gone all the same.
    Effect.catchTags({
      StreamNotFound: () => reset,
      LogDamaged: ({ message }) => Effect.andThen(reset, new StorageFailed({ message }))
    })
  )

  const forgetForGood = Effect.fnUntraced(function*(description: StreamDescription) {
    const hidden = log?.hidden === true
    yield* storage.delete(name)
    yield* reset
    if (!hidden) signals.deleted(description)
    signals.forgotten(description)
  })

  const reset = Effect.suspend(() => {
    const scope = logScope
    log = undefined
    logScope = undefined
    lifetime = undefined
    life++
    tail = 0
    closed = false
    recent.clear()
    sleepers.wake()
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })

  const infoOf = ({ description }: Log): StreamInfo => ({ description, tail, closed, life })

  const create = Effect.fnUntraced(function*(request: CreateRequest, reservation: Reservation | undefined) {
    if (isDue()) yield* forget
    if (log !== undefined) {
      const difference = log.hidden ? "having been deleted: forks still read it" : differenceFrom(infoOf(log), request)
      if (difference !== undefined) return yield* new StreamExists({ stream: name, difference })
      return { made: false, events: emptyBlock(tail), info: infoOf(log) } satisfies Created as Created
    }
    const now = isoTime(clock.currentTimeMillisUnsafe())
    const description = toDescription(name, now, request, reservation)
    const first = description.forkedFrom?.offset ?? 0
    const events = layOut(first, [...reservation?.point.data ?? [], ...request.data], toFrame(name, now))
    yield* begin(description, events, request.closed === true ? [close(undefined)] : [])
    sleepers.wake()
    return { made: true, events, info: { description, tail, closed, life } } satisfies Created as Created
  })

  const reserve = Effect.fnUntraced(function*(fork: StreamName, offset: number | undefined, subOffset: number) {
    if (isDue()) yield* forget
    if (log === undefined) return yield* new StreamNotFound({ stream: name })
    if (log.hidden) return yield* new SourceGone({ stream: name })
    const point = yield* findForkPoint(log.description, tail, readAt, offset ?? tail, subOffset)
    const forkId = newId()
    yield* log.commit({ events: emptyBlock(tail), state: [keepFor(forkId, fork)] })
    reserved.add(forkId)
    return { forkId, point } satisfies Reservation as Reservation
  })

  const release = Effect.fnUntraced(function*(forkId: string) {
    reserved.delete(forkId)
    if (log === undefined) return
    const change = keepNoMore(forkId)
    if (log.state.has(change[0])) yield* log.commit({ events: emptyBlock(tail), state: [change] })
    yield* giveUp
  }, Effect.catchTag("StreamNotFound", () => reset))

  /** What is kept for forks alone goes with the last of them. */
  const giveUp = Effect.gen(function*() {
    if (log?.hidden === true && !(yield* isForked(storage, log, reserved))) yield* forgetForGood(log.description)
  })

  /** Durable events from memory when they are new, else from the log. */
  const readAt = (next: number, bytesMax: number): Effect.Effect<EventBlock, StorageError | LogDamaged> => {
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

  const isNews = (cursor: Cursor): boolean => cursor.life !== life || cursor.next < tail || closed

  const next = (cursor: Cursor, bytesMax?: number): Effect.Effect<EventBlock, ReadError> =>
    Effect.suspend(() =>
      isNews(cursor)
        ? read(cursor, bytesMax)
        : Effect.andThen(sleepers.wait(() => isNews(cursor), use), next(cursor, bytesMax))
    )

  const live: LiveStream = {
    take: (cursor) => {
      if (!isNews(cursor)) return undefined
      if (cursor.life !== life || cursor.next >= tail) return "behind"
      return recent.from(cursor.next, readBytes) ?? "behind"
    },
    wait: (wake) => sleepers.add(wake),
    leave: (wake) => {
      sleepers.delete(wake)
      use()
    },
    place: () => ({ life, tail, closed })
  }

  /** A stream whose time has come is not there any more for anybody. */
  const current = Effect.suspend(() => isDue() ? Effect.ignore(writer.inOrder(expire)) : Effect.void)

  const expire = Effect.suspend(() => isDue() ? forget : Effect.void)

  const known = Effect.suspend((): Effect.Effect<StreamInfo, Absent> =>
    log === undefined || isDue()
      ? Effect.fail(new StreamNotFound({ stream: name }))
      : log.hidden
      ? Effect.fail(new StreamGone({ stream: name }))
      : Effect.succeed(infoOf(log))
  )
  const info = Effect.suspend(() => isDue() ? Effect.andThen(current, known) : known)

  const cursor = (from: From) =>
    Effect.map(current, (): Cursor => {
      use()
      return { life, next: from === "beginning" ? 0 : from === "now" ? tail : from }
    })

  const appendThen: DurableStream["appendThen"] = (request, done) =>
    request.data.length === 0 && request.close !== true
      ? done(Exit.succeed({ events: emptyBlock(tail), tail, closed, producer: undefined }))
      : writer.append(request, done)

  // Forks can be gone without having said so: when somebody looks is soon enough to find out.
  yield* Effect.ignore(giveUp)

  const stream: DurableStream = {
    name,
    append: (request) => Effect.callback((resume) => appendThen(request, resume)),
    appendThen,
    create: (request, reservation) => writer.inOrder(create(request, reservation)),
    info,
    cursor,
    read,
    next,
    live,
    offsetSince: (time) => Effect.suspend(() => searchSince(readAt, tail, time)),
    subscribe: (from) => Stream.unwrap(Effect.map(cursor(from), (start) => eventsFrom(start, next))),
    reserve: (fork, offset, subOffset) => writer.inOrder(reserve(fork, offset, subOffset)),
    release: (forkId) => writer.inOrder(release(forkId)),
    delete: writer.inOrder(Effect.gen(function*() {
      if (isDue()) yield* forget
      if (log === undefined) return yield* new StreamNotFound({ stream: name })
      if (log.hidden) return yield* new StreamGone({ stream: name })
      yield* forget
    })),
    expire: Effect.andThen(writer.inOrder(expire), Effect.sync(() => due()))
  }
  return stream
})

type Writing = Effect.Effect<void, StorageError | StorageFull | TooManyStreams | StreamNotFound>

const noState: ReadonlyMap<string, string> = new Map()
