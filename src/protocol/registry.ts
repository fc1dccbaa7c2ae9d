/**
 * The registry (docs/protocol.md 16): a stream that tells of every stream that is made or deleted, for whoever would
 * rather follow than ask again. Written behind the appends, never in their way.
 */
import { Cause, Config, Effect, Layer, Queue } from "effect"
import { EventData } from "../durable-streams/event-data.ts"
import { StreamManager } from "../durable-streams/stream-manager.ts"
import type { StreamName } from "../durable-streams/types.ts"
import { isReserved } from "../durable-streams/types.ts"

const registry = "__registry__" as StreamName

/** Keeps the registry where `DURABLE_STREAMS_REGISTRY` asks for it, until the scope closes. */
export const layerRegistry = Layer.effectDiscard(Effect.gen(function*() {
  const isWanted = yield* Config.Boolean("REGISTRY").pipe(Config.withDefault(false), Config.nested("DURABLE_STREAMS"))
  if (!isWanted) return
  const manager = yield* StreamManager
  const changes = yield* Queue.unbounded<EventData>()

  const write = (data: ReadonlyArray<EventData>) =>
    data.length === 0 ? Effect.void : manager.append(registry, { data }).pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.logWarning("The registry lacks streams that were made or deleted just now", cause)
      )
    )
  // What is still waiting when the server stops is written, too.
  yield* Effect.addFinalizer(() => Effect.flatMap(Queue.clear(changes), write))
  yield* Effect.uninterruptibleMask((restore) => Effect.flatMap(restore(Queue.takeAll(changes)), write)).pipe(
    Effect.forever,
    Effect.forkScoped
  )

  const tell = (name: StreamName, change: Change) => {
    if (name === registry || isReserved(name)) return
    Queue.offerUnsafe(changes, EventData.fromValue({ type: "stream", key: name, ...change }))
  }
  yield* manager.watch({
    created: ({ contentType, createdAt, name }) =>
      tell(name, {
        value: { path: name, contentType, createdAt: Date.parse(createdAt) },
        headers: { operation: "insert" }
      }),
    deleted: ({ name }) => tell(name, { headers: { operation: "delete" } })
  })
}))

/** A change event of the State Protocol, as its `createStateSchema` makes them. */
type Change =
  | {
    readonly value: { readonly path: string; readonly contentType: string; readonly createdAt: number }
    readonly headers: { readonly operation: "insert" }
  }
  | { readonly headers: { readonly operation: "delete" } }
