/**
 * The log of one stream while the stream is awake: its tail, whether it is closed, which of the name's lives it is, its
 * newest events, and how many read it. The stream's single writer changes it, readers look.
 *
 * After a change that failed, or after the log was taken away by hand, the log is in doubt: it is opened again before the
 * next change, and the log that is found then decides.
 */
import { Clock, Effect, Exit, Scope } from "effect"
import type { LogDamaged, StorageError, StorageFull, TooManyStreams } from "../domain/errors.ts"
import { StorageFailed, StreamGone, StreamNotFound } from "../domain/errors.ts"
import type { EventBlock, StreamName } from "../domain/types.ts"
import type { Commit, Log, StreamDescription } from "../storage/storage.ts"
import { Storage } from "../storage/storage.ts"
import type { Absent, StreamInfo } from "./durable-stream.ts"
import { Lifetime } from "./expiry.ts"
import type { StreamCounts } from "./metrics.ts"
import { CurrentStreamCounts } from "./metrics.ts"
import { RecentEvents } from "./recent-events.ts"
import { Sleepers } from "./sleepers.ts"
import { StreamAdmission } from "./stream-admission.ts"
import { StreamSignals } from "./stream-signals.ts"
import { countProducers, isClosed } from "./stream-state.ts"

interface Services {
  readonly storage: Storage["Service"]
  readonly admit: StreamAdmission["admit"]
  readonly signals: StreamSignals
  readonly counts: StreamCounts
  readonly clock: Clock.Clock
  readonly runFork: <A, E>(effect: Effect.Effect<A, E>) => unknown
}

/** Fields are set by this class alone. */
export class OpenLog {
  readonly name: StreamName
  /** Undefined: there is no stream. */
  log: Log | undefined
  tail = 0
  closed = false
  life = 0
  readonly recent = new RecentEvents()
  readonly sleepers = new Sleepers()
  readonly #services: Services
  /** Closes the log. */
  #scope: Scope.Closeable | undefined
  /** A change failed: the log may be there or not, or be hidden. */
  #isDoubtful = false
  /** The log was taken away by hand, and may be put back. */
  #isLost = false
  #lifetime: Lifetime | undefined
  #readers = 0
  #producers: number | undefined

  constructor(name: StreamName, services: Services) {
    this.name = name
    this.#services = services
  }

  /** Whether the log has to be opened again before the next change. */
  get isInDoubt(): boolean {
    return this.#isDoubtful || (this.#isLost && this.log === undefined)
  }

  /** The next change opens the log again first: the one that is under way may fail half done. */
  doubt(): void {
    this.#isDoubtful = true
  }

  /** Opens the log, if there is one. */
  readonly open: Effect.Effect<void, StorageError | LogDamaged> = Effect.suspend(() =>
    Effect.catchTag(this.#hold(this.#services.storage.open(this.name)), "StreamNotFound", () => Effect.void)
  )

  /** Closes the log, if it is open. */
  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    Effect.andThen(
      this.#note,
      Effect.suspend(() => {
        const scope = this.#scope
        this.#scope = undefined
        return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
      })
    )
  )

  /** Creates the log with its first commit, and announces the stream. */
  create(
    description: StreamDescription,
    first: Commit
  ): Effect.Effect<void, StorageError | StorageFull | TooManyStreams> {
    const { admit, storage } = this.#services
    return this.#hold(admit(this.name, storage.create(description, first))).pipe(
      // The storage may not have taken back a creation that failed.
      Effect.tapError(() => Effect.sync(() => this.doubt())),
      Effect.map(() => {
        this.recent.add(first.events)
        this.#services.counts.addEvents(first.events)
        this.#announce(description)
      })
    )
  }

  /** Takes note of a commit that is durable, with so many producers that the stream had not known. */
  recordCommit(log: Log, events: EventBlock, newProducers: number): void {
    this.tail += events.count
    this.closed = isClosed(log.state)
    this.recent.add(events)
    this.#services.counts.addEvents(events)
    if (this.#producers !== undefined) this.#producers += newProducers
    this.use()
    if (events.count > 0) this.#services.signals.appended(log.description, this.tail)
  }

  /** Opens the log again, and tells followers and listeners if it is not the one that they know. */
  readonly reopen: Effect.Effect<void, StorageError> = Effect.gen({ self: this }, function*() {
    const { log: before, tail } = this
    yield* this.close
    const { signals, storage } = this.#services
    const found = yield* Effect.catchTag(
      this.#hold(storage.open(this.name)),
      "StreamNotFound",
      () => Effect.undefined
    )
    this.#isDoubtful = false
    if (before === undefined) return found === undefined ? undefined : this.#announce(found.description)
    // A log that was put back from a copy may have less than readers were shown: they are told.
    const isSameLog = found?.description.id === before.description.id && found.tail >= tail
    if (isSameLog && found.hidden === before.hidden) return
    if (found === undefined) this.#reset()
    else this.#beginLife()
    if (!before.hidden) signals.deleted(before.description)
    if (!isSameLog) signals.forgotten(before.description)
    if (!isSameLog && found?.hidden === false) this.#announce(found.description)
  }).pipe(
    Effect.catchTag("LogDamaged", ({ message }) => Effect.fail(new StorageFailed({ message })))
  )

  /** The storage did not find the log: looks for another one in its place, now and before each change to come. */
  readonly reopenLost: Effect.Effect<void, StorageError> = Effect.suspend(() => {
    this.#isDoubtful = this.#isLost = true
    return this.reopen
  })

  /** The stream as it is now; fails if it does not exist for its users. */
  readonly info: Effect.Effect<StreamInfo, Absent> = Effect.suspend((): Effect.Effect<StreamInfo, Absent> =>
    this.log === undefined || this.isDue()
      ? Effect.fail(new StreamNotFound({ stream: this.name }))
      : this.log.hidden
      ? Effect.fail(new StreamGone({ stream: this.name }))
      : Effect.succeed(this.infoOf(this.log))
  )

  /** The same of a log that is open, also if it is hidden or due. */
  infoOf({ description }: Log): StreamInfo {
    const { closed, life, tail } = this
    return { description, tail, closed, life }
  }

  /** How many producers the stream knows: counted once, and from then on with every commit. */
  countProducers(): number {
    return this.#producers ??= this.log === undefined ? 0 : countProducers(this.log.state)
  }

  /** The stream is used now. */
  use(): void {
    if (this.#lifetime?.use(this.#services.clock) === true) this.#services.runFork(this.#note)
  }

  /** A reader begins: the stream is in use until `stopReading`. */
  startReading(): void {
    this.#readers++
  }

  stopReading(): void {
    this.#readers--
    this.use()
  }

  /** When the stream expires: milliseconds since 1970, or undefined for never. */
  due(): number | undefined {
    return this.#lifetime?.due(this.#services.clock.currentTimeMillisUnsafe(), this.#isInUse)
  }

  isDue(): boolean {
    return this.#lifetime?.isDue(this.#services.clock, this.#isInUse) === true
  }

  get #isInUse(): boolean {
    return this.#readers > 0 || this.sleepers.size > 0
  }

  /** Stores when the stream was used, as far as that is not stored yet. */
  readonly #note = Effect.suspend(() => this.#lifetime?.note ?? Effect.void)

  /** Keeps the log that is opened or created; it stays open until `close`. The one before was closed. */
  #hold<E>(opening: Effect.Effect<Log, E, Scope.Scope>): Effect.Effect<Log, E> {
    return Effect.suspend(() => {
      const scope = Scope.makeUnsafe()
      return Scope.provide(opening, scope).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
        Effect.map((log) => {
          this.#scope = scope
          this.log = log
          this.tail = log.tail
          this.closed = isClosed(log.state)
          this.#isLost = false
          this.#lifetime = new Lifetime(log)
          this.#producers = undefined
          return log
        })
      )
    })
  }

  /** Tells listeners and followers of a stream that is there now. */
  #announce(description: StreamDescription): void {
    const { signals } = this.#services
    signals.created(description)
    if (this.tail > (description.forkedFrom?.offset ?? 0)) signals.appended(description, this.tail)
    this.sleepers.wake()
  }

  /** There is no stream any more. */
  #reset(): void {
    this.log = undefined
    this.#lifetime = undefined
    this.#producers = undefined
    this.tail = 0
    this.closed = false
    this.#beginLife()
  }

  /** Readers and followers are told that the life they know is over. */
  #beginLife(): void {
    this.life++
    this.recent.clear()
    this.sleepers.wake()
  }
}

export const makeOpenLog = Effect.fnUntraced(function*(name: StreamName) {
  return new OpenLog(name, {
    admit: (yield* StreamAdmission).admit,
    storage: yield* Storage,
    signals: yield* StreamSignals,
    counts: yield* CurrentStreamCounts,
    clock: yield* Clock.Clock,
    runFork: Effect.runForkWith(yield* Effect.context<never>())
  })
})
