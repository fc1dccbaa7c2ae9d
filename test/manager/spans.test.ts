/**
 * The manager's operations are spans, so that a program that embeds streams sees them in its own traces.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Tracer } from "effect"
import type { StreamName } from "../../src/domain/types.ts"
import { EventData } from "../../src/event/event-data.ts"
import { PlainFactory } from "../../src/hooks/stream-factory.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"

const name = "orders" as StreamName

it.effect("creating, appending and deleting are spans that name the stream", () =>
  Effect.gen(function*() {
    const spans: Array<Tracer.NativeSpan> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    yield* Effect.gen(function*() {
      const manager = yield* StreamManager
      yield* manager.create(name, { contentType: "application/json", data: [] })
      yield* manager.append(name, { data: [EventData.fromValue(1)] })
      yield* manager.delete(name)
    }).pipe(
      Effect.provide(StreamManager.layer.pipe(Layer.provide(PlainFactory), Layer.provide(layerMemory))),
      Effect.withTracer(tracer)
    )
    const told = spans.filter((span) => span.name.startsWith("StreamManager."))
      .map((span) => [span.name, span.attributes.get("stream")])
    assert.deepStrictEqual(told, [
      ["StreamManager.create", name],
      ["StreamManager.append", name],
      ["StreamManager.delete", name]
    ])
  }))
