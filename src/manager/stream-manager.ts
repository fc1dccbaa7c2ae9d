/**
 * The streams of the server: one live stream for each name, shared by all its users, asleep again when it had none for a
 * minute. Work on more than one stream is done here: forks and their sources.
 */
import { Cause, Config, Context, Duration, Effect, type Exit, Layer, Option, type Scope } from "effect"
import type { LogDamaged, Overloaded, StorageError } from "../domain/errors.ts"
import { ContentTypeMismatch, StreamExists } from "../domain/errors.ts"
import { CurrentLimits } from "../domain/limits.ts"
import { registerGauge } from "../domain/metrics.ts"
import type { StreamName } from "../domain/types.ts"
import { isReserved, mediaType, registryName, reservedPrefix } from "../domain/types.ts"
import { emptyBlock } from "../event/event-block.ts"
import type { HookError } from "../hooks/hooks.ts"
import { StreamFactory } from "../hooks/stream-factory.ts"
import { Storage } from "../storage/storage.ts"
import type {
  Absent,
  Appended,
  AppendError,
  AppendRequest,
  Created,
  CreateError,
  CreateRequest,
  DurableStream,
  ForkError
} from "../stream/durable-stream.ts"
import { judgeCondition } from "../stream/judge-append.ts"
import { CurrentStreamCounts, StreamCounts } from "../stream/metrics.ts"
import { StreamAdmission } from "../stream/stream-admission.ts"
import { differenceFrom } from "../stream/stream-config.ts"
import { StreamSignals } from "../stream/stream-signals.ts"
import { makeAwakeStreams } from "./awake-streams.ts"
import { watchExpiry } from "./expiry-watch.ts"
import type { Observe } from "./observe.ts"
import { makeObserve } from "./observe.ts"

export interface ListOptions {
  /** Only names that begin with this. */
  readonly prefix?: string | undefined
  /** Only names that sort after this: the last name of the page before. */
  readonly after?: string | undefined
  /** At most this many names. */
  readonly limit?: number | undefined
}

export class StreamManager extends Context.Service<StreamManager, {
  /** The stream, awake until the scope closes. It need not exist yet, and getting it does not make it. */
  get(name: StreamName): Effect.Effect<DurableStream<HookError>, StorageError | LogDamaged | Overloaded, Scope.Scope>

  /** Runs with the stream, awake until that has ended. */
  use<A, E>(
    name: StreamName,
    run: (stream: DurableStream<HookError>) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | StorageError | LogDamaged | Overloaded>

  /** Appends; the first append creates the stream, unless the request says that it must exist. */
  append(
    name: StreamName,
    request: AppendRequest
  ): Effect.Effect<Appended, AppendError | HookError | LogDamaged>

  /** `append` without a fiber, if the stream is awake and its hooks do not suspend: `done` is called once. */
  appendUnsafe(
    name: StreamName,
    request: AppendRequest,
    done: (exit: Exit.Exit<Appended, AppendError | HookError | LogDamaged>) => void
  ): void

  /** Creates the stream or a fork, or finds that it exists and was created so. */
  create(
    name: StreamName,
    request: CreateRequest
  ): Effect.Effect<Created, CreateError | ForkError | HookError | LogDamaged>

  /** Names in ascending order of UTF-16 code units, without reserved ones. */
  list(options?: ListOptions): Effect.Effect<ReadonlyArray<StreamName>, StorageError>

  /** Deletes the stream, in order with its appends. A source that was kept for it alone goes soon after. */
  delete(name: StreamName): Effect.Effect<void, Absent | StorageError | LogDamaged | Overloaded>

  /** How many streams are awake. */
  awakeCount(): number

  /** Tells the observer what happens to streams whose names begin with the prefix, and reads the names that there are. */
  readonly observe: Observe
}>()("durable-streams/manager/stream-manager/StreamManager") {
  static readonly layer = Layer.effect(
    StreamManager,
    Effect.gen(function*() {
      const storage = yield* Storage
      const factory = yield* StreamFactory
      const admission = yield* StreamAdmission
      const { awakeMax } = yield* CurrentLimits
      const runFork = Effect.runForkWith(yield* Effect.context<never>())
      // A minute: longer than the pause between two commands of a person, shorter than what open files would cost.
      const idleTimeToLive = yield* Config.Duration("STREAM_IDLE").pipe(
        Config.withDefault(Duration.minutes(1)),
        Config.nested("DURABLE_STREAMS")
      )

      const list = (options?: ListOptions) =>
        Effect.map(
          storage.list({ ...options, without: reservedPrefix }),
          (names) => names.filter((name) => !isReserved(name))
        )
      const { observe, signals } = makeObserve((prefix) => list({ prefix }))

      const counts = new StreamCounts()
      yield* counts.register

      const { count, get, getUnsafe, use } = yield* makeAwakeStreams({
        wake: (name) =>
          factory.make(name).pipe(
            Effect.provideService(StreamSignals, signals),
            Effect.provideService(CurrentStreamCounts, counts),
            Effect.provideService(StreamAdmission, admission)
          ),
        idleTimeToLive,
        // A client that asks for random names, or creates and deletes streams, must not fill the memory for a minute.
        isWorthKeeping: (stream) => stream.isThere(),
        awakeMax,
        // The server's own streams are few, and an event that they miss is not sent again.
        isExempt: (name) => isReserved(name) || name === registryName
      })

      yield* registerGauge({ name: "awake_streams", description: "Streams that are awake" }, count)

      // A fork that is gone does not need its source any more.
      yield* observe("", {
        forgotten: ({ forkedFrom, id }) => {
          if (forkedFrom === undefined) return
          runFork(
            use(forkedFrom.stream, (source) => source.release(id)).pipe(
              Effect.catchCause((cause) =>
                Cause.hasInterruptsOnly(cause)
                  ? Effect.void
                  : Effect.logWarning("A source could not be told that its fork is gone", cause).pipe(
                    Effect.annotateLogs({ stream: forkedFrom.stream })
                  )
              )
            )
          )
        }
      })
      yield* watchExpiry((yield* storage.atStart).expiring, observe, (name) => use(name, (stream) => stream.expire))

      const append = (name: StreamName, request: AppendRequest) =>
        Effect.withSpan(use(name, (stream) => stream.append(request)), "StreamManager.append", spanOf(name))

      return StreamManager.of({
        get,
        use,
        append,
        appendUnsafe: (name, request, done) => {
          const awake = getUnsafe(name)
          if (awake === undefined) return void runFork(append(name, request)).addObserver(done)
          awake.stream.appendUnsafe(request, (exit) => {
            awake.leave()
            done(exit)
          })
        },
        create: makeCreate(get),
        list,
        delete: (name) => Effect.withSpan(use(name, (stream) => stream.delete), "StreamManager.delete", spanOf(name)),
        awakeCount: count,
        observe
      })
    })
  )
}

const spanOf = (stream: StreamName) => ({ attributes: { stream } })

/** Uninterruptible: a caller who hangs up leaves no fork of which its source does not know. */
const makeCreate = (get: StreamManager["Service"]["get"]) =>
  Effect.fn("StreamManager.create")(
    function*(name: StreamName, request: CreateRequest) {
      yield* Effect.annotateCurrentSpan("stream", name)
      const stream = yield* get(name)
      if (request.fork === undefined) return yield* stream.create(request)
      const known = yield* Effect.option(stream.info)
      const unmet = judgeCondition(name, request.onlyIf, Option.getOrUndefined(known))
      if (unmet !== undefined) return yield* unmet
      if (Option.isSome(known)) {
        const difference = differenceFrom(known.value, request)
        if (difference !== undefined) return yield* new StreamExists({ stream: name, difference })
        return { made: false, events: emptyBlock(known.value.tail), info: known.value }
      }
      const { offset, source: sourceName, subOffset } = request.fork
      const source = yield* get(sourceName)
      return yield* Effect.acquireUseRelease(
        source.reserve(name, offset, subOffset),
        (reservation): Effect.Effect<Created, CreateError | HookError> => {
          const { contentType } = reservation.point.source
          return request.contentType !== undefined && mediaType(request.contentType) !== mediaType(contentType)
            ? Effect.fail(new ContentTypeMismatch({ stream: sourceName, contentType }))
            : stream.create(request, reservation)
        },
        (reservation, exit) =>
          exit._tag === "Success" && exit.value.made
            ? Effect.void
            : Effect.ignore(source.release(reservation.forkId))
      )
    },
    Effect.scoped,
    Effect.uninterruptible
  )
