/**
 * The registry (docs/protocol.md 16): its events, in the form that the State Protocol's own client makes and reads.
 */
import { createStateSchema, MaterializedState } from "@durable-streams/state"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { filesOf } from "../../src/data-directory/paths.ts"
import { StorageFull } from "../../src/domain/errors.ts"
import { Server } from "../../src/durable-streams/server.ts"
import { EventData } from "../../src/event/event-data.ts"
import { ActiveFactory } from "../../src/hooks/stream-factory.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { layerRegistry } from "../../src/protocol/registry.ts"
import { layerFileSystem } from "../../src/storage-filesystem/storage-filesystem.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import { type Log, Storage } from "../../src/storage/storage.ts"
import { eventsOf, settled } from "../subscriptions/stage.ts"
import { freshName } from "../support/names.ts"
import { append, layerServer, listStreams, serverSettings, talk, temporaryDirectory } from "../support/served.ts"
import { get, json, put, remove, text } from "../support/speaking.ts"
import { commitOf, described, named } from "../support/storage-fixtures.ts"

/** A time on the test's own clock that cannot be confused with its beginning. */
const now = 5_000

/** The registry, once it holds this many changes. */
const registry = async (port: number, count: number): Promise<ReadonlyArray<Change>> => {
  while (true) {
    const answer = await get(port, "__registry__")
    const changes = answer.status === 200 ? await answer.json() as ReadonlyArray<Change> : []
    if (changes.length >= count) return changes
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

type Change = Parameters<MaterializedState["apply"]>[0]

it.effect("the registry tells of every stream that is made or deleted, in order, as the state client would", () =>
  Effect.andThen(
    TestClock.setTime(now),
    talk(async (port) => {
      const [first, second] = [freshName(), freshName()]
      await put(port, first, text)
      assert.strictEqual((await put(port, "__registry__", json)).status, 201)
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
  ).pipe(Effect.provide(layerServer())))

it.effect("a registry that is made anew tells of all streams that exist, and goes on after it could not be written", () =>
  talk(async (port) => {
    const names = Array.from({ length: 4 }, freshName)
    await put(port, "__registry__", json)
    await append(port, names[0]!, "1")
    await registry(port, 1)
    await remove(port, "__registry__")
    await append(port, names[1]!, "1")
    await put(port, "__registry__", text)
    await append(port, names[2]!, "1")
    await remove(port, "__registry__")
    await put(port, "__registry__", json)
    await append(port, names[3]!, "1")
    const changes = await registry(port, 4)
    assert.deepStrictEqual(changes.map(({ key }) => key), names)
  }).pipe(Effect.provide(layerServer())))

it.effect("the registry is told at the next start of changes it missed, and of no existing stream twice", () =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const settings = { ...serverSettings(directory), storage: "fs" as const }
    const [kept, gone, missed] = [freshName(), freshName(), freshName()]
    yield* talk(async (port) => {
      await put(port, "__registry__", json)
      await append(port, kept, "1")
      await append(port, gone, "1")
      await registry(port, 2)
    }).pipe(Effect.provide(Server.layer(settings)))
    // The same as a server that was killed before it could write this.
    yield* Effect.gen(function*() {
      const storage = yield* Storage
      yield* storage.delete(named(gone))
      yield* storage.create(described(missed), commitOf(missed, 0, ["1"]))
    }).pipe(
      Effect.scoped,
      Effect.provide(layerFileSystem({ directory: filesOf(settings.dataDirectory).streams, durability: "os" }))
    )
    yield* talk(async (port) => {
      const changes = await registry(port, 4)
      assert.deepStrictEqual(
        changes.map(({ headers, key }) => `${headers.operation} ${key}`),
        [`insert ${kept}`, `insert ${gone}`, `delete ${gone}`, `insert ${missed}`]
      )
    }).pipe(Effect.provide(Server.layer(settings)))
  }).pipe(Effect.scoped))

it.effect("Promise 10: the registry on a full disk gets the missed changes when there is room again, without a new start", () =>
  Effect.gen(function*() {
    let isFull = false
    const memory = Context.get(yield* Layer.build(layerMemory), Storage)
    const guarded = (log: Log): Log => ({
      ...log,
      commit: (commit) =>
        Effect.suspend(() =>
          isFull && log.description.name === "__registry__"
            ? Effect.fail(new StorageFull({ message: "no room" }))
            : log.commit(commit)
        )
    })
    const storage = Storage.of({
      ...memory,
      open: (name) => Effect.map(memory.open(name), guarded),
      create: (...given) => Effect.map(memory.create(...given), guarded)
    })
    const manager = StreamManager.layer.pipe(
      Layer.provide(ActiveFactory),
      Layer.provide(Layer.succeed(Storage, storage))
    )
    yield* Effect.gen(function*() {
      const { append, create, delete: remove } = yield* StreamManager
      const one = { data: [EventData.fromValue(1)] }
      yield* create(named("__registry__"), { data: [], contentType: "application/json" })
      yield* append(named("a"), one)
      yield* settled
      isFull = true
      yield* append(named("b"), one)
      yield* settled
      yield* remove(named("a"))
      yield* append(named("c"), one)
      yield* settled
      yield* TestClock.adjust("1 hour")
      isFull = false
      yield* TestClock.adjust("1 minute")
      yield* settled
      const told = (yield* eventsOf("__registry__")) as ReadonlyArray<unknown> as ReadonlyArray<Change>
      assert.deepStrictEqual(told.map(({ headers, key }) => `${String(headers["operation"])} ${key}`), [
        "insert a",
        "delete a",
        "insert b",
        "insert c"
      ])
    }).pipe(Effect.provide(layerRegistry.pipe(Layer.provideMerge(manager))))
  }).pipe(Effect.scoped))

it.effect("the registry does not exist until a client makes it", () =>
  talk(async (port) => {
    const name = freshName()
    await append(port, name, "1")
    assert.strictEqual((await get(port, "__registry__")).status, 404)
    assert.deepStrictEqual(await listStreams(port), [name])
  }).pipe(Effect.provide(layerServer())))
