/**
 * Which streams are awake: one live stream a name, shared by all who use it, asleep again when nobody has for a minute.
 */
import { Config, Context, Duration, Effect, Layer, RcMap, type Scope } from "effect"
import type { AppendError, AppendRequest } from "./durable-stream.ts"
import type { HookError } from "./hooks.ts"
import { Storage } from "./storage.ts"
import { StreamFactory } from "./stream-factory.ts"
import type { LogDamaged, StorageFailed, StreamNotFound } from "./errors.ts"
import type { EventBlock, StreamName } from "./types.ts"
import type { HookedStream } from "./with-hooks.ts"

export interface ListOptions {
  /** Only names that begin with this. */
  readonly prefix?: string | undefined
  /** Only names that sort after this: the last name of the page before. */
  readonly after?: string | undefined
  /** At most this many names. */
  readonly limit?: number | undefined
}

/** What a stream is to be made with. */
export interface MakeRequest extends Omit<CreateRequest, "contentType"> {
  /** Undefined: the source's for a fork, else bytes. */
  readonly contentType: string | undefined
  readonly fork?: {
    readonly source: StreamName
    /** The first offset that is not inherited; undefined: the source's tail. */
    readonly offset: number | undefined
    readonly subOffset: number
  } | undefined
}

export class StreamManager extends Context.Service<StreamManager, {
  /** The stream, awake until the scope closes. It need not exist yet, and getting it does not make it. */
  get(name: StreamName): Effect.Effect<HookedStream, StorageFailed | LogDamaged, Scope.Scope>

  /** Appends; unless it must exist, the first append makes the stream. */
  append(
    name: StreamName,
    request: AppendRequest
  ): Effect.Effect<Appended, AppendError | HookError | LogDamaged>

  /** Makes the stream or a fork, or finds that it is there and was made so. */
  create(
    name: StreamName,
    request: MakeRequest
  ): Effect.Effect<Created, CreateError | ForkError | HookError | LogDamaged>

  /** Names in ascending order of UTF-16 code units. */
  list(options?: ListOptions): Effect.Effect<ReadonlyArray<StreamName>, StorageFailed>

  /** Deletes the stream, in order with its appends, and what was kept for it alone. */
  delete(name: StreamName): Effect.Effect<void, Absent | StorageFailed | LogDamaged>

  /** Tells the listener what happens to every stream, until the scope closes. */
  watch(listener: StreamSignals): Effect.Effect<void, never, Scope.Scope>
}>()("durable-streams/stream-manager/StreamManager") {
  static readonly layer = Layer.effect(
    StreamManager,
    Effect.gen(function*() {
      const storage = yield* Storage
      const factory = yield* StreamFactory
      // A minute: longer than the pause between two commands of a person, shorter than what open files would cost.
      const idleTimeToLive = yield* Config.Duration("STREAM_IDLE").pipe(
        Config.withDefault(Duration.minutes(1)),
        Config.nested("DURABLE_STREAMS")
      )
      const awake: RcMap.RcMap<StreamName, HookedStream, StorageFailed | LogDamaged> = yield* RcMap.make({
        // A stream that did not wake is not kept: whoever comes next tries anew. (Not from within: a lookup that closed
        // its own scope would wait for itself.)
        lookup: (name: StreamName) =>
          Effect.tapCause(
            factory.make(name),
            () => Effect.forkDetach(RcMap.invalidate(awake, name), { startImmediately: true })
          ),
        idleTimeToLive
      })

      const get = (name: StreamName) => RcMap.get(awake, name)

      return StreamManager.of({
        get,
        append: (name, request) => Effect.scoped(Effect.flatMap(get(name), (stream) => stream.append(request))),
        list: (options = {}) =>
          Effect.map(storage.list, (names) => {
            const { after, limit, prefix = "" } = options
            const from = after === undefined ? 0 : names.findIndex((name) => name > after)
            const rest = from < 0 ? [] : names.slice(from).filter((name) => name.startsWith(prefix))
            return limit === undefined ? rest : rest.slice(0, limit)
          }),
        delete: (name) => Effect.scoped(Effect.flatMap(get(name), (stream) => stream.delete))
      })
    })
  )
}
