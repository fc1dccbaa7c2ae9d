/**
 * Which streams are awake: one a name, woken by whoever comes first, shared by all who use it, asleep again when nobody
 * has for a while. Using one that is awake is two additions and a look into a table: every append does.
 */
import { Clock, Deferred, Duration, Effect, Exit, Fiber, Scope } from "effect"
import type { StreamName } from "./types.ts"

interface AwakeStreams<A, E> {
  /** The stream, awake until the scope closes. */
  readonly get: (name: StreamName) => Effect.Effect<A, E, Scope.Scope>
  /** The stream if it is awake; it stays so until `leave` is called. */
  readonly enter: (name: StreamName) => { readonly stream: A; readonly leave: () => void } | undefined
  /** How many are awake, or waking. */
  readonly count: () => number
  /** Runs with the stream awake. */
  readonly use: <B, E2>(name: StreamName, run: (stream: A) => Effect.Effect<B, E2>) => Effect.Effect<B, E | E2>
}

/**
 * `wake` runs once for all who wait for it, in a scope that closes when the stream falls asleep, or did not wake. A stream
 * that is not `worthwhile` any more when its last user leaves falls asleep at once.
 */
export const makeAwakeStreams = Effect.fnUntraced(function*<A, E, R>(
  wake: (name: StreamName) => Effect.Effect<A, E, R | Scope.Scope>,
  idleTimeToLive: Duration.Duration,
  worthwhile: (stream: A) => boolean
) {
  const parent = yield* Effect.scope
  const clock = yield* Clock.Clock
  const runFork = Effect.runForkWith(yield* Effect.context<R>())
  const entries = new Map<StreamName, Entry<A, E>>()
  /** Streams that nobody uses, the longest unused one first. */
  const idle = new Set<Entry<A, E>>()
  /** Streams that are falling asleep: they let go of what they hold before they wake again. */
  const falling = new Map<StreamName, Fiber.Fiber<void>>()
  const idleMillis = Duration.toMillis(idleTimeToLive)
  let watching = false

  const entryOf = (name: StreamName): Entry<A, E> => {
    const known = entries.get(name)
    if (known !== undefined) return known
    const scope = Scope.forkUnsafe(parent)
    const entry: Entry<A, E> = { name, scope, woken: Deferred.makeUnsafe(), stream: undefined, users: 0, idleSince: 0 }
    entries.set(name, entry)
    // A fiber of its own: who came first may leave, and the others still want it.
    const asleep = falling.get(name)
    const waking = asleep === undefined ? wake(name) : Effect.andThen(Fiber.await(asleep), wake(name))
    runFork(Scope.provide(waking, scope)).addObserver((exit) => {
      if (Exit.isSuccess(exit)) entry.stream = exit.value
      // A stream that did not wake is not kept: whoever comes next tries anew.
      else close(entry, exit)
      Deferred.doneUnsafe(entry.woken, exit)
    })
    return entry
  }

  const hold = (entry: Entry<A, E>): void => {
    if (entry.users++ === 0) idle.delete(entry)
  }

  const leave = (entry: Entry<A, E>): void => {
    if (--entry.users > 0 || entries.get(entry.name) !== entry) return
    if (entry.stream !== undefined && !worthwhile(entry.stream)) return close(entry, Exit.void)
    entry.idleSince = clock.currentTimeMillisUnsafe()
    idle.add(entry)
    if (watching) return
    watching = true
    runFork(Effect.forkIn(watch, parent))
  }

  const close = (entry: Entry<A, E>, exit: Exit.Exit<unknown, unknown>): void => {
    entries.delete(entry.name)
    idle.delete(entry)
    const fiber = runFork(Scope.close(entry.scope, exit))
    falling.set(entry.name, fiber)
    fiber.addObserver(() => falling.delete(entry.name))
  }

  /** Lets the streams fall asleep whose time has come, until none is idle. */
  const watch: Effect.Effect<void> = Effect.gen(function*() {
    while (true) {
      const now = clock.currentTimeMillisUnsafe()
      for (const entry of idle) {
        if (entry.idleSince + idleMillis > now) break
        close(entry, Exit.void)
      }
      const [next] = idle
      if (next === undefined) break
      yield* Effect.sleep(next.idleSince + idleMillis - now)
    }
    watching = false
  })

  const get: AwakeStreams<A, E>["get"] = (name) =>
    Effect.uninterruptibleMask((restore) => {
      const entry = entryOf(name)
      hold(entry)
      return Effect.andThen(
        Effect.addFinalizer(() => Effect.sync(() => leave(entry))),
        restore(Deferred.await(entry.woken))
      )
    })

  const use: AwakeStreams<A, E>["use"] = (name, run) =>
    Effect.suspend(() => {
      const awake = enter(name)
      if (awake === undefined) return Effect.scoped(Effect.flatMap(get(name), run))
      return Effect.ensuring(run(awake.stream), Effect.sync(awake.leave))
    })

  const enter: AwakeStreams<A, E>["enter"] = (name) => {
    const entry = entries.get(name)
    if (entry?.stream === undefined) return undefined
    hold(entry)
    return { stream: entry.stream, leave: () => leave(entry) }
  }

  return { get, use, enter, count: () => entries.size } satisfies AwakeStreams<A, E>
})

interface Entry<A, E> {
  readonly name: StreamName
  /** What the stream holds while it is awake. */
  readonly scope: Scope.Closeable
  readonly woken: Deferred.Deferred<A, E>
  /** Undefined until it has woken. */
  stream: A | undefined
  users: number
  idleSince: number
}
