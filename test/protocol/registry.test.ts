/**
 * The registry (docs/protocol.md 16): what it tells, in the form the State Protocol's own client makes and reads.
 */
import { createStateSchema, MaterializedState } from "@durable-streams/state"
import { assert, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { append, freshName, layerServer, listStreams, talk } from "../durable-streams/served.ts"
import { get, put, remove, text } from "./speaking.ts"

const withRegistry = layerServer().pipe(
  Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { DURABLE_STREAMS_REGISTRY: "true" } })))
)

/** On the test's own clock: far enough from its beginning to be told from nothing. */
const now = 5_000

/** The registry, once it holds so many changes. */
const registry = async (port: number, count: number): Promise<ReadonlyArray<Change>> => {
  while (true) {
    const answer = await get(port, "__registry__")
    const changes = answer.status === 200 ? await answer.json() as ReadonlyArray<Change> : []
    if (changes.length >= count) return changes
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

type Change = Parameters<MaterializedState["apply"]>[0]

it.effect("tells of every stream that is made or deleted, in order, as the state client would", () =>
  Effect.andThen(
    TestClock.setTime(now),
    talk(async (port) => {
      const [first, second] = [freshName(), freshName()]
      await put(port, first, text)
      await append(port, second, "1")
      await append(port, second, "2")
      await put(port, first, text)
      await remove(port, first)
      const changes = await registry(port, 3)
      const schema = createStateSchema({
        streams: {
          schema: { "~standard": { version: 1 as const, vendor: "test", validate: (value: unknown) => ({ value }) } },
          type: "stream",
          primaryKey: "path"
        }
      })
      assert.deepStrictEqual(
        JSON.parse(JSON.stringify(changes)),
        JSON.parse(JSON.stringify([
          schema.streams.insert({
            key: first,
            value: { path: first, contentType: "text/plain", createdAt: now }
          }),
          schema.streams.insert({
            key: second,
            value: { path: second, contentType: "application/json", createdAt: now }
          }),
          schema.streams.delete({ key: first })
        ]))
      )
      const state = new MaterializedState()
      for (const change of changes) state.apply(change)
      assert.deepStrictEqual([...state.getType("stream").keys()], [second])
      assert.deepStrictEqual(await listStreams(port), ["__registry__", second])
    })
  ).pipe(Effect.provide(withRegistry)))

it.effect("begins anew where it was deleted, and goes on where it cannot be written", () =>
  talk(async (port) => {
    const names = Array.from({ length: 4 }, freshName)
    await append(port, names[0]!, "1")
    await registry(port, 1)
    await remove(port, "__registry__")
    await put(port, "__registry__", text)
    await append(port, names[1]!, "1")
    await new Promise((resolve) => setTimeout(resolve, 100))
    await remove(port, "__registry__")
    await append(port, names[2]!, "1")
    await append(port, names[3]!, "1")
    const changes = await registry(port, 2)
    assert.deepStrictEqual(changes.map(({ key }) => key), names.slice(2))
  }).pipe(Effect.provide(withRegistry)))

it.effect("is not there unless it is asked for", () =>
  talk(async (port) => {
    const name = freshName()
    await append(port, name, "1")
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.deepStrictEqual(await listStreams(port), [name])
  }).pipe(Effect.provide(layerServer())))
