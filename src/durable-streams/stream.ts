/**
 * One durable stream: create, append, read, follow, fork, expire, delete. No hook, no network, no disk in sight.
 *
 * A single writer makes every change, in order (stream-writer.ts). Offsets are given when a commit is put together, so a
 * failed commit leaves no hole. Readers see only what is durable (promise 2); followers hold an offset and are woken to
 * read (promise 6).
 */
import { type Cause, Clock, Effect, Exit, type Scope, Stream } from "effect"
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
import { findForkPoint, isForked, isThere } from "./fork-point.ts"
import { isoTime } from "./iso-time.ts"
import { CurrentLimits } from "./limits.ts"
import { makeLogHolder } from "./log-holder.ts"
import { RecentEvents } from "./recent-events.ts"
import { searchSince } from "./search-since.ts"
import { Sleepers } from "./sleepers.ts"
import type { Commit, Log, StreamDescription } from "./storage.ts"
import { Storage } from "./storage.ts"
import { differenceFrom, newId, toDescription } from "./stream-config.ts"
import { StreamSignals } from "./stream-signals.ts"
import { close, forkOf, isClosed, keepFor, keepNoMore } from "./stream-state.ts"
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

  const holder = makeLogHolder()
  let log: Log | undefined
  let life = 0
  let tail = 0
  let closed = false
  let lifetime: Lifetime | undefined
  /** The log may be there or not, or hidden: that is not known before it was opened anew. */
  let doubtful = false
  const recent = new RecentEvents()
  const sleepers = new Sleepers()
  /** Forks that are being made, or were since the stream woke. */
  const reserved = new Set<string>()

  const hold = <E>(opening: Effect.Effect<Log, E, Scope.Scope>) =>
    Effect.map(holder.hold(opening), (opened) => {
      log = opened
      tail = opened.tail
      closed = isClosed(opened.state)
      lifetime = new Lifetime(opened)
      return opened
    })

  const letGo = Effect.andThen(Effect.suspend(() => lifetime?.note ?? Effect.void), holder.letGo)
  yield* hold(storage.open(name)).pipe(Effect.catchTag("StreamNotFound", () => Effect.void))
  yield* Effect.addFinalizer(() => Effect.andThen(writer.still, letGo))

  /** Notes that the stream is used now. */
  const use = () => {
    if (lifetime?.use(clock.currentTimeMillisUnsafe()) === true) Effect.runForkWith(services)(lifetime.note)
  }

  const due = () => lifetime?.due(clock.currentTimeMillisUnsafe(), sleepers.size > 0)

  const isDue = () => lifetime?.isDue(clock.currentTimeMillisUnsafe(), sleepers.size > 0) === true

  const commit = (taken: ReadonlyArray<WaitingAppend>): Effect.Effect<void> => {
    if (doubtful || isDue()) {
      return Effect.matchEffect(upToDate, {
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
    const write: Writing = log === undefined ? begin(description, batch) : log.commit(batch)
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

  const begin = (description: StreamDescription, first: Commit) =>
    hold(storage.create(description, first)).pipe(
      // What failed on its way may not have been taken back either.
      Effect.tapError(() => Effect.sync(() => void (doubtful = true))),
      Effect.map(() => {
        recent.add(first.events)
        begun(description)
      })
    )

  const begun = (description: StreamDescription) => {
    signals.created(description)
    if (tail > (description.forkedFrom?.offset ?? 0)) signals.appended(description, tail)
    sleepers.wake()
  }

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
  const forget = Effect.suspend(() =>
    log === undefined ? Effect.void : Effect.flatMap(isForked(storage, log, reserved), end)
  )

  const end = Effect.fnUntraced(function*(forked: boolean) {
    const ending = life
    // Taken away by somebody else: gone all the same.
    const ended = yield* Effect.result(
      Effect.catchTag(forked ? storage.hide(name) : storage.delete(name), "StreamNotFound", () => Effect.void)
    )
    doubtful = true
    const looked = yield* Effect.result(lookAgain)
    // What failed on its way can have been done: what is there counts.
    if (life === ending) yield* Effect.fromResult(ended)
    yield* Effect.fromResult(looked)
  })

  /** Nothing is made of a stream before it is known what is there of it. */
  const lookAgain = Effect.gen(function*() {
    const before = log
    yield* letGo
    const found = yield* Effect.catchTag(hold(storage.open(name)), "StreamNotFound", () => Effect.undefined)
    doubtful = false
    if (found?.hidden === before?.hidden) return
    if (before === undefined) return begun(found!.description)
    yield* found === undefined ? reset : Effect.sync(beginLife)
    if (!before.hidden) signals.deleted(before.description)
    if (found === undefined) signals.forgotten(before.description)
  }).pipe(
    Effect.catchTag("LogDamaged", ({ message }) => Effect.fail(new StorageFailed({ message })))
  )

  const reset = Effect.suspend(() => {
    log = undefined
    lifetime = undefined
    doubtful = false
    tail = 0
    closed = false
    beginLife()
    return holder.letGo
  })

  const beginLife = () => {
    life++
    recent.clear()
    sleepers.wake()
  }

  const infoOf = ({ description }: Log): StreamInfo => ({ description, tail, closed, life })

  const create = Effect.fnUntraced(function*(request: CreateRequest, reservation: Reservation | undefined) {
    yield* upToDate
    if (log !== undefined) {
      const difference = log.hidden ? "having been deleted: forks still read it" : differenceFrom(infoOf(log), request)
      if (difference !== undefined) return yield* new StreamExists({ stream: name, difference })
      return { made: false, events: emptyBlock(tail), info: infoOf(log) } satisfies Created as Created
    }
    const now = isoTime(clock.currentTimeMillisUnsafe())
    const description = toDescription(name, now, request, reservation)
    const first = description.forkedFrom?.offset ?? 0
    const events = layOut(first, [...reservation?.point.data ?? [], ...request.data], toFrame(name, now))
    yield* begin(description, { events, state: request.closed === true ? [close(undefined)] : [] })
    return { made: true, events, info: { description, tail, closed, life } } satisfies Created as Created
  })

  const reserve = Effect.fnUntraced(function*(fork: StreamName, offset: number | undefined, subOffset: number) {
    yield* upToDate
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
    yield* upToDate
    if (log === undefined) return
    const fork = forkOf(log.state, forkId)
    // A fork that could not be made, and not be taken back either, may still be there.
    if (fork !== undefined && !(yield* isThere(storage, forkId, fork))) {
      yield* log.commit({ events: emptyBlock(tail), state: [keepNoMore(forkId)] })
    }
    yield* giveUp
  }, Effect.catchTag("StreamNotFound", () => reset))

  /** What is kept for forks alone goes with the last of them. */
  const giveUp = Effect.gen(function*() {
    if (log?.hidden === true && !(yield* isForked(storage, log, reserved))) yield* end(false)
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
  const current = Effect.suspend(() => doubtful || isDue() ? Effect.ignore(writer.inOrder(upToDate)) : Effect.void)

  const upToDate: Effect.Effect<void, StorageError> = Effect.suspend(() =>
    doubtful ? Effect.andThen(lookAgain, upToDate) : isDue() ? forget : Effect.void
  )

  const known = Effect.suspend((): Effect.Effect<StreamInfo, Absent> =>
    log === undefined || isDue()
      ? Effect.fail(new StreamNotFound({ stream: name }))
      : log.hidden
      ? Effect.fail(new StreamGone({ stream: name }))
      : Effect.succeed(infoOf(log))
  )
  const info = Effect.andThen(current, known)
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
    isThere: () => log !== undefined,
    cursor,
    read,
    next,
    live,
    offsetSince: (time) => Effect.suspend(() => searchSince(readAt, tail, time)),
    subscribe: (from) => Stream.unwrap(Effect.map(cursor(from), (start) => eventsFrom(start, next))),
    reserve: (fork, offset, subOffset) => writer.inOrder(reserve(fork, offset, subOffset)),
    release: (forkId) => writer.inOrder(release(forkId)),
    delete: writer.inOrder(Effect.gen(function*() {
      yield* upToDate
      if (log === undefined) return yield* new StreamNotFound({ stream: name })
      if (log.hidden) return yield* new StreamGone({ stream: name })
      yield* forget
    })),
    expire: Effect.andThen(writer.inOrder(upToDate), Effect.sync(() => due()))
  }
  return stream
})

type Writing = Effect.Effect<void, StorageError | StorageFull | TooManyStreams | StreamNotFound>

const noState: ReadonlyMap<string, string> = new Map()
