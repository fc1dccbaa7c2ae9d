/**
 * One durable stream: create, append, read, follow, fork, expire, delete. No hook, no network, no disk in sight.
 *
 * A single writer makes every change, in order (stream-writer.ts). Offsets are given when a commit is put together, so a
 * failed commit leaves no hole. Readers see only what is durable (promise 2); followers hold an offset and are woken to
 * read (promise 6).
 */
import { type Cause, Clock, Effect, Exit, type Scope, Stream } from "effect"
import type { StorageError, StorageFull, TooManyStreams } from "../domain/errors.ts"
import { SourceGone, StorageFailed, StreamExists, StreamGone, StreamNotFound } from "../domain/errors.ts"
import { CurrentLimits } from "../domain/limits.ts"
import type { StreamName } from "../domain/types.ts"
import { jsonType } from "../domain/types.ts"
import { emptyBlock, layOut, toFrame } from "../event/event-block.ts"
import { isoTime } from "../event/iso-time.ts"
import type { Commit, Log, StreamDescription } from "../storage/storage.ts"
import { Storage } from "../storage/storage.ts"
import type { Batch, WaitingAppend } from "./append-batch.ts"
import { answerAll, answerOf, settle, toBatch } from "./append-batch.ts"
import type { Absent, Created, CreateRequest, DurableStream, Reservation, StreamInfo } from "./durable-stream.ts"
import { eventsFrom } from "./event-stream.ts"
import { findForkPoint, isForked, isThere } from "./fork-point.ts"
import { judgeCondition } from "./judge-append.ts"
import { makeLogHolder } from "./log-holder.ts"
import { StreamAdmission } from "./stream-admission.ts"
import { differenceFrom, newId, toDescription } from "./stream-config.ts"
import { current, makeReads, readAt } from "./stream-reads.ts"
import { StreamSignals } from "./stream-signals.ts"
import { Standing } from "./stream-standing.ts"
import { close, forkOf, keepFor, keepNoMore } from "./stream-state.ts"
import { makeWriter } from "./stream-writer.ts"

export const makeDurableStream = Effect.fnUntraced(function*(name: StreamName) {
  const storage = yield* Storage
  const { admit } = yield* StreamAdmission
  const signals = yield* StreamSignals
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const clock = yield* Clock.Clock
  const { producersMax } = yield* CurrentLimits

  const holder = makeLogHolder()
  const now = new Standing(clock)
  /** Forks that are being made, or were since the stream woke. */
  const reserved = new Set<string>()

  const hold = <E>(opening: Effect.Effect<Log, E, Scope.Scope>) =>
    Effect.map(holder.hold(opening), (opened) => {
      now.opened(opened)
      return opened
    })

  const letGo = Effect.andThen(now.note, holder.letGo)

  /** Notes that the stream is used now. */
  const use = () => {
    if (now.use()) runFork(now.note)
  }

  const commit = (taken: ReadonlyArray<WaitingAppend>): Effect.Effect<void> =>
    now.isUnknown || now.isDue()
      ? Effect.matchEffect(upToDate, {
        onSuccess: () => write(taken),
        onFailure: (error) => Effect.sync(() => answerAll(taken, Exit.fail(error)))
      })
      : write(taken)

  const write = (taken: ReadonlyArray<WaitingAppend>): Effect.Effect<void> => {
    const { log, tail } = now
    if (log?.hidden === true) {
      return Effect.sync(() => answerAll(taken, Exit.fail(new StreamGone({ stream: name }))))
    }
    const createdAt = isoTime(clock.currentTimeMillisUnsafe())
    const description = log?.description
    const contentType = description?.contentType
    const before = { name, contentType, description, tail, state: log?.state ?? noState, producersMax, producers }
    const batch = toBatch(before, taken, createdAt)
    if (batch.accepted.length === 0) return Effect.sync(() => settle(batch))
    const writing: Writing = log === undefined
      ? begin({ name, contentType: jsonType, createdAt, id: newId() }, batch)
      : log.commit(batch)
    return Effect.matchCauseEffect(writing, {
      onSuccess: () => {
        if (log !== undefined) grown(log, batch)
        for (const [entry, first, isLast] of batch.accepted) {
          entry.done(Exit.succeed(answerOf(entry, batch.events, first, isLast)))
        }
        settle(batch)
        now.sleepers.wake()
        return Effect.void
      },
      onFailure: (cause) => {
        // What has no need to be written because of what is now not there has to be judged again.
        writer.again(batch.settled.map(([entry]) => entry))
        return Effect.map(explain(cause), (failure) => answerAll(batch.accepted.map(([entry]) => entry), failure))
      }
    })
  }

  const producers = () => now.producers()

  const writer = yield* makeWriter(name, commit)

  const grown = (log: Log, { events, newProducers }: Batch) => {
    now.grown(log, events, newProducers)
    use()
    if (events.count > 0) signals.appended(log.description, now.tail)
  }

  const begin = (description: StreamDescription, first: Commit) =>
    hold(admit(name, storage.create(description, first))).pipe(
      // What failed on its way may not have been taken back either.
      Effect.tapError(() => Effect.sync(() => void (now.doubtful = true))),
      Effect.map(() => {
        now.recent.add(first.events)
        begun(description)
      })
    )

  const begun = (description: StreamDescription) => {
    signals.created(description)
    if (now.tail > (description.forkedFrom?.offset ?? 0)) signals.appended(description, now.tail)
    now.sleepers.wake()
  }

  /** A log that was removed from under the server is gone: its followers are told, and the next append starts anew. */
  const explain = (cause: Cause.Cause<Effect.Error<Writing>>) =>
    Effect.exit(
      Effect.catchTag(Effect.failCause(cause), "StreamNotFound", () =>
        Effect.andThen(
          lost,
          Effect.suspend(() => Effect.fail(new StorageFailed({ message: lostMessage(name, now.log !== undefined) })))
        ))
    )

  /** The log is not where it was. */
  const lost = Effect.suspend(() => {
    now.doubtful = now.vanished = true
    return lookAgain
  })

  /** Ends this life of the stream; where forks read it, its log is kept for them. */
  const forget = Effect.suspend(() =>
    now.log === undefined ? Effect.void : Effect.flatMap(isForked(storage, now.log, reserved), end)
  )

  const end = (forked: boolean) =>
    Effect.gen(function*() {
      const ending = now.life
      // From here on a read may fail because its log is gone: it waits for this turn, and looks again.
      now.doubtful = true
      // Taken away by somebody else: gone all the same.
      const ended = yield* Effect.result(
        Effect.catchTag(forked ? storage.hide(name) : storage.delete(name), "StreamNotFound", () => Effect.void)
      )
      const looked = yield* Effect.result(lookAgain)
      // What failed on its way can have been done: what is there counts.
      if (now.life === ending) yield* Effect.fromResult(ended)
      yield* Effect.fromResult(looked)
    })

  /** Nothing is made of a stream before it is known what is there of it. */
  const lookAgain = Effect.gen(function*() {
    const { log: before, tail } = now
    yield* letGo
    const found = yield* Effect.catchTag(hold(storage.open(name)), "StreamNotFound", () => Effect.undefined)
    now.doubtful = false
    if (before === undefined) return found === undefined ? undefined : begun(found.description)
    // Put back from a copy it may have less than was shown to readers: they are told.
    const isSameLog = found?.description.id === before.description.id && found.tail >= tail
    if (isSameLog && found.hidden === before.hidden) return
    if (found === undefined) now.reset()
    else now.beginLife()
    if (!before.hidden) signals.deleted(before.description)
    if (!isSameLog) signals.forgotten(before.description)
    if (!isSameLog && found?.hidden === false) begun(found.description)
  }).pipe(
    Effect.catchTag("LogDamaged", ({ message }) => Effect.fail(new StorageFailed({ message })))
  )

  const infoOf = ({ description }: Log): StreamInfo => {
    const { closed, life, tail } = now
    return { description, tail, closed, life }
  }

  const create = (request: CreateRequest, reservation: Reservation | undefined) =>
    Effect.gen(function*() {
      yield* upToDate
      const { log, tail } = now
      const found = log === undefined || log.hidden ? undefined : infoOf(log)
      const unmet = judgeCondition(name, request.onlyIf, found)
      if (unmet !== undefined) return yield* unmet
      if (log !== undefined) {
        const difference = log.hidden
          ? "having been deleted: forks still read it"
          : differenceFrom(infoOf(log), request)
        if (difference !== undefined) return yield* new StreamExists({ stream: name, difference })
        return { made: false, events: emptyBlock(tail), info: infoOf(log) } satisfies Created as Created
      }
      const createdAt = isoTime(clock.currentTimeMillisUnsafe())
      const description = toDescription(name, createdAt, request, reservation)
      const first = description.forkedFrom?.offset ?? 0
      const data = [...reservation?.point.data ?? [], ...request.data]
      const events = layOut(first, data, toFrame(name, createdAt))
      yield* begin(description, { events, state: request.closed === true ? [close(undefined)] : [] })
      return { made: true, events, info: infoOf(now.log!) } satisfies Created as Created
    })

  const reserve = (fork: StreamName, offset: number | undefined, subOffset: number) =>
    Effect.gen(function*() {
      yield* upToDate
      const { log, tail } = now
      if (log === undefined) return yield* new StreamNotFound({ stream: name })
      if (log.hidden) return yield* new SourceGone({ stream: name })
      const read = (next: number, bytesMax: number) => readAt(now, next, bytesMax)
      const point = yield* findForkPoint(log.description, tail, read, offset ?? tail, subOffset)
      const forkId = newId()
      yield* log.commit({ events: emptyBlock(tail), state: [keepFor(forkId, fork)] }).pipe(
        Effect.tapErrorTag("StreamNotFound", () => lost)
      )
      reserved.add(forkId)
      return { forkId, point } satisfies Reservation as Reservation
    })

  const release = (forkId: string) =>
    Effect.gen(function*() {
      reserved.delete(forkId)
      yield* upToDate
      const { log, tail } = now
      if (log === undefined) return
      const fork = forkOf(log.state, forkId)
      // A fork that could not be made, and not be taken back either, may still be there.
      if (fork !== undefined && !(yield* isThere(storage, forkId, fork))) {
        yield* log.commit({ events: emptyBlock(tail), state: [keepNoMore(forkId)] })
      }
      yield* giveUp
    }).pipe(Effect.catchTag("StreamNotFound", () => lost))

  /** What is kept for forks alone goes with the last of them. */
  const giveUp = Effect.gen(function*() {
    if (now.log?.hidden === true && !(yield* isForked(storage, now.log, reserved))) yield* end(false)
  })

  const deleteIf: DurableStream["deleteIf"] = (check) =>
    writer.inOrder(Effect.andThen(upToDate, Effect.andThen(Effect.flatMap(known, check), forget)))

  const upToDate: Effect.Effect<void, StorageError> = Effect.suspend(() =>
    now.isUnknown ? Effect.andThen(lookAgain, whileDue) : whileDue
  )
  const whileDue = Effect.suspend(() => now.isDue() ? forget : Effect.void)
  const look = writer.inOrder(upToDate)

  const known = Effect.suspend((): Effect.Effect<StreamInfo, Absent> =>
    now.log === undefined || now.isDue()
      ? Effect.fail(new StreamNotFound({ stream: name }))
      : now.log.hidden
      ? Effect.fail(new StreamGone({ stream: name }))
      : Effect.succeed(infoOf(now.log))
  )

  const appendThen: DurableStream["appendThen"] = (request, done) =>
    request.data.length === 0 && request.close !== true
      ? done(Exit.succeed({ events: emptyBlock(now.tail), tail: now.tail, closed: now.closed, producer: undefined }))
      : writer.append(request, done)

  const reads = makeReads(name, now, {
    use,
    stopReading: () => {
      if (now.stopReading()) runFork(now.note)
    },
    look
  })

  // It is let go also if the scope has closed by the time that it is open.
  yield* Effect.acquireRelease(
    Effect.catchTag(hold(storage.open(name)), "StreamNotFound", () => Effect.void),
    () => Effect.andThen(writer.still, letGo)
  )
  // Forks can be gone without having said so: when somebody looks is soon enough to find out.
  yield* Effect.ignore(giveUp)

  const stream: DurableStream = {
    name,
    append: (request) => Effect.callback((resume) => appendThen(request, resume)),
    appendThen,
    create: (request, reservation) => writer.inOrder(create(request, reservation)),
    info: Effect.andThen(current(now, look), known),
    isThere: () => now.log !== undefined,
    ...reads,
    subscribe: (from) =>
      Stream.unwrap(
        Effect.map(Effect.andThen(reads.reading, reads.cursor(from)), (start) => eventsFrom(start, reads.next))
      ),
    reserve: (fork, offset, subOffset) => writer.inOrder(reserve(fork, offset, subOffset)),
    release: (forkId) => writer.inOrder(release(forkId)),
    delete: deleteIf(() => Effect.void),
    deleteIf,
    expire: Effect.map(look, () => now.due())
  }
  return stream
})

type Writing = Effect.Effect<void, StorageError | StorageFull | TooManyStreams | StreamNotFound>

const noState: ReadonlyMap<string, string> = new Map()

const lostMessage = (name: StreamName, isReplaced: boolean) =>
  `The log of ${JSON.stringify(name)} was ${isReplaced ? "replaced" : "removed"} while the server was using it; ` +
  (isReplaced
    ? "the stream is what the file that is there now says. Look at it, and append again."
    : "its events are gone. The next append starts a new stream.")
