/**
 * The streams that are awake: one for each name. Its first user wakes it, all users share it, and it falls asleep when it
 * had no user for a while, or when another stream needs its place. This is not an `RcMap`, for every append uses a stream:
 * here that costs two additions and a look into a table, there a scope.
 */
import { Clock, Deferred, Duration, Effect, Exit, Fiber, Scope } from "effect"
import { Overloaded } from "../domain/errors.ts"
import { steadyMillis } from "../domain/steady-time.ts"
import type { StreamName } from "../domain/types.ts"

interface AwakeStreams<A, E> {
  /** The stream, awake until the scope closes. */
  readonly get: (name: StreamName) => Effect.Effect<A, E | Overloaded, Scope.Scope>
  /** The stream if it is awake; it stays so until `leave` is called. */
  readonly getUnsafe: (name: StreamName) => { readonly stream: A; readonly leave: () => void } | undefined
  /** How many are awake, or waking. */
  readonly count: () => number
  /** Runs with the stream awake. */
  readonly use: <B, E2>(
    name: StreamName,
    run: (stream: A) => Effect.Effect<B, E2>
  ) => Effect.Effect<B, E | E2 | Overloaded>
}

interface AwakeOptions<A, E, R> {
  /** Runs once for all who wait for the stream, in a scope that closes when the stream falls asleep or fails to wake. */
  readonly wake: (name: StreamName) => Effect.Effect<A, E, R | Scope.Scope>
  readonly idleTimeToLive: Duration.Duration
  /** A stream that is not worth keeping when its last user leaves falls asleep at once. */
  readonly isWorthKeeping: (stream: A) => boolean
  /** How many may be awake. The longest idle one falls asleep for one more; if all are in use, that one is refused. */
  readonly awakeMax: number
  /** Whether the stream is woken all the same. */
  readonly isExempt: (name: StreamName) => boolean
}

export const makeAwakeStreams = Effect.fnUntraced(function*<A, E, R>(options: AwakeOptions<A, E, R>) {
  const { awakeMax, isExempt, isWorthKeeping, wake } = options
  const parent = yield* Effect.scope
  const clock = yield* Clock.Clock
  const runFork = Effect.runForkWith(yield* Effect.context<R>())
  const entries = new Map<StreamName, Entry<A, E>>()
  /** Streams that are falling asleep: each closes its log before it wakes again. */
  const falling = new Map<StreamName, Fiber.Fiber<void>>()
  const waking = new Set<Fiber.Fiber<A, E>>()

  // Streams that are waking or falling asleep have files open, and may write to them: a stop waits for them.
  yield* Effect.addFinalizer(() => Effect.suspend(() => Fiber.awaitAll([...waking, ...falling.values()])))

  /** Adds a user to the stream, and wakes it if it sleeps. Undefined: there is no place for it. */
  const holdOrWake = (name: StreamName): Entry<A, E> | undefined => {
    const known = entries.get(name)
    if (known !== undefined) return hold(known)
    const before = falling.get(name)
    // The new stream waits until the displaced one is gone: else a thousand could be on their way out.
    const after = before === undefined ? [] : [before]
    for (const longest of idle.entries) {
      if (entries.size < awakeMax) break
      after.push(close(longest, Exit.void))
    }
    if (entries.size >= awakeMax && !isExempt(name)) return undefined
    const entry = makeEntry<A, E>(name, Scope.forkUnsafe(parent))
    entries.set(name, entry)
    // A fiber of its own: its first user may leave, and the others still wait for it.
    const woken = after.length === 0 ? wake(name) : Effect.andThen(Fiber.awaitAll(after), wake(name))
    const fiber = runFork(Scope.provide(woken, entry.scope))
    waking.add(fiber)
    fiber.addObserver((exit) => {
      waking.delete(fiber)
      if (Exit.isSuccess(exit)) {
        entry.stream = exit.value
        if (entry.users === 0) rest(entry)
      } else {
        // A stream that failed to wake is not kept: its next user tries anew.
        close(entry, exit)
      }
      Deferred.doneUnsafe(entry.woken, exit)
    })
    return entry
  }

  const hold = (entry: Entry<A, E>): Entry<A, E> => {
    if (entry.users++ === 0) idle.delete(entry)
    return entry
  }

  const leave = (entry: Entry<A, E>): void => {
    // An entry that is still waking looks at its users when it has woken.
    if (--entry.users === 0 && entry.stream !== undefined && entries.get(entry.name) === entry) rest(entry)
  }

  /** The stream has no user: it falls asleep, at once or after a while. */
  const rest = (entry: Entry<A, E>): void => {
    if (isWorthKeeping(entry.stream!)) idle.add(entry)
    else close(entry, Exit.void)
  }

  /** Call it only when the stream has woken or failed to: else two streams of one name could be falling asleep. */
  const close = (entry: Entry<A, E>, exit: Exit.Exit<unknown, unknown>): Fiber.Fiber<void> => {
    entries.delete(entry.name)
    idle.delete(entry)
    const fiber = runFork(Scope.close(entry.scope, exit))
    falling.set(entry.name, fiber)
    fiber.addObserver(() => falling.delete(entry.name))
    return fiber
  }

  const idle = new IdleStreams<Entry<A, E>>({
    clock,
    timeToLive: options.idleTimeToLive,
    fork: (watch) => void runFork(Effect.forkIn(watch, parent)),
    close: (entry) => void close(entry, Exit.void)
  })

  const get: AwakeStreams<A, E>["get"] = (name) =>
    Effect.uninterruptibleMask((restore): Effect.Effect<A, E | Overloaded, Scope.Scope> => {
      const entry = holdOrWake(name)
      if (entry === undefined) return Effect.fail(tooMany(awakeMax))
      return Effect.andThen(
        Effect.addFinalizer(() => Effect.sync(() => leave(entry))),
        restore(Deferred.await(entry.woken))
      )
    })

  const getUnsafe: AwakeStreams<A, E>["getUnsafe"] = (name) => {
    const entry = entries.get(name)
    if (entry?.stream === undefined) return undefined
    hold(entry)
    return { stream: entry.stream, leave: () => leave(entry) }
  }

  const awake: AwakeStreams<A, E> = { get, use: makeUse(get, getUnsafe), getUnsafe, count: () => entries.size }
  return awake
})

interface Entry<A, E> {
  readonly name: StreamName
  /** Closes when the stream falls asleep. */
  readonly scope: Scope.Closeable
  readonly woken: Deferred.Deferred<A, E>
  /** Undefined until it has woken. */
  stream: A | undefined
  users: number
  idleSince: number
}

const makeEntry = <A, E>(name: StreamName, scope: Scope.Closeable): Entry<A, E> => ({
  name,
  scope,
  woken: Deferred.makeUnsafe(),
  stream: undefined,
  users: 1,
  idleSince: 0
})

const makeUse = <A, E>(
  get: AwakeStreams<A, E>["get"],
  getUnsafe: AwakeStreams<A, E>["getUnsafe"]
): AwakeStreams<A, E>["use"] =>
(name, run) =>
  Effect.suspend(() => {
    const awake = getUnsafe(name)
    if (awake === undefined) return Effect.scoped(Effect.flatMap(get(name), run))
    return Effect.ensuring(run(awake.stream), Effect.sync(awake.leave))
  })

/** Streams without a user, the longest idle one first. Each is closed when it was not used for a while. */
class IdleStreams<A extends { idleSince: number }> {
  readonly entries = new Set<A>()
  readonly #clock: Clock.Clock
  readonly #millis: number
  readonly #fork: (watch: Effect.Effect<void>) => void
  readonly #close: (entry: A) => void
  #isWatching = false

  constructor({ clock, close, fork, timeToLive }: {
    readonly clock: Clock.Clock
    readonly timeToLive: Duration.Duration
    readonly fork: (watch: Effect.Effect<void>) => void
    readonly close: (entry: A) => void
  }) {
    this.#clock = clock
    this.#millis = Duration.toMillis(timeToLive)
    this.#fork = fork
    this.#close = close
  }

  add(entry: A): void {
    entry.idleSince = steadyMillis(this.#clock)
    this.entries.add(entry)
    if (this.#isWatching) return
    this.#isWatching = true
    this.#fork(this.#watch)
  }

  delete(entry: A): void {
    this.entries.delete(entry)
  }

  /** Closes each stream when it was idle long enough, until none is idle. */
  readonly #watch: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    while (true) {
      const now = steadyMillis(this.#clock)
      for (const entry of this.entries) {
        if (entry.idleSince + this.#millis > now) break
        this.#close(entry)
      }
      const [next] = this.entries
      if (next === undefined) break
      yield* Effect.sleep(next.idleSince + this.#millis - now)
    }
    this.#isWatching = false
  })
}

const tooMany = (limit: number) =>
  new Overloaded({
    message: `${limit} streams are in use at once, as many as may be. ` +
      "Try again later, or start the server with a larger --max-awake.",
    limit
  })
