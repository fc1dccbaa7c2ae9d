/**
 * The factory that makes the streams of this server. Swapping `ActiveFactory` for another factory is one line; an embedding
 * program provides a layer of its own instead.
 */
import { Context, Effect, Layer, Predicate, type Scope } from "effect"
import type { LogDamaged, StorageError } from "../domain/errors.ts"
import type { StreamName } from "../domain/types.ts"
import { Storage } from "../storage/storage.ts"
import type { DurableStream } from "../stream/durable-stream.ts"
import { makeDurableStream } from "../stream/stream.ts"
import type { AfterAppendHook, BeforeAppendHook, Hooks } from "./hooks.ts"
import { HookError } from "./hooks.ts"
import { withHooks } from "./with-hooks.ts"

export class StreamFactory extends Context.Service<StreamFactory, {
  /** Wakes the stream of that name, whether or not it exists yet. It sleeps again when the scope closes. */
  make(name: StreamName): Effect.Effect<DurableStream<HookError>, StorageError | LogDamaged, Scope.Scope>
}>()("durable-streams/hooks/stream-factory/StreamFactory") {
  /** Streams with these hooks. */
  static readonly layerWith = (hooks: Hooks): Layer.Layer<StreamFactory, never, Storage> =>
    Layer.effect(
      StreamFactory,
      Effect.map(Storage, (storage) =>
        StreamFactory.of({
          // The storage and nothing else of this layer: a stream lives in its caller's scope.
          make: (name) =>
            Effect.contextWith((context: Context.Context<never>) =>
              Effect.map(makeDurableStream(name), (stream) => withHooks(stream, hooks, context))
            ).pipe(Effect.provideService(Storage, storage))
        }))
    )
}

const typeOf = (data: unknown): unknown => Predicate.hasProperty(data, "_type") ? data._type : undefined

const validateType: BeforeAppendHook = {
  id: "validate-type",
  run: ({ data }) =>
    typeof typeOf(data) === "string"
      ? Effect.void
      : Effect.fail(
        new HookError({ hookId: "validate-type", message: "Data must have a _type field that is a string" })
      )
}

const validateAgentEvent: BeforeAppendHook = {
  id: "validate-agent-event",
  run: ({ data }) => {
    const type = typeOf(data)
    return typeof type === "string" && type.startsWith("agent:") ? Effect.void : Effect.fail(
      new HookError({ hookId: "validate-agent-event", message: "Data must have a _type field that starts with agent:" })
    )
  }
}

const logAppended: AfterAppendHook = {
  id: "log-appended",
  run: ({ event, name }) =>
    Effect.logInfo("Event appended").pipe(Effect.annotateLogs({ stream: name, offset: event.offset }))
}

/** Streams without any hook. */
export const PlainFactory = StreamFactory.layerWith({})

/** Every event must have a `_type` that is a string. */
export const ValidatedFactory = StreamFactory.layerWith({ beforeAppend: [validateType] })

/** Every event must have a `_type` that starts with `agent:`; each event that is appended is logged. */
export const EmbryonicAgentFactory = StreamFactory.layerWith({
  beforeAppend: [validateAgentEvent],
  afterAppend: [logAppended]
})

/** The factory this server uses. */
export const ActiveFactory = PlainFactory
