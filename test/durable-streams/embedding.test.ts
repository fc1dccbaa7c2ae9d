/**
 * The server inside another program, as the README shows it.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { BeforeAppendHook, ServerSettings } from "../../src/durable-streams/index.ts"
import {
  EventData,
  HookError,
  layerMemory,
  PlainFactory,
  Server,
  StreamFactory,
  StreamManager,
  StreamName
} from "../../src/durable-streams/index.ts"

const settings = (dataDirectory: string): ServerSettings => ({
  host: "127.0.0.1",
  port: 0,
  dataDirectory,
  storage: "fs",
  durability: "fsync",
  bodyBytesMax: 1024 * 1024,
  corsOrigins: [],
  longPollMillis: 30_000
})

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "durable-streams-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
)

const smallOnly: BeforeAppendHook = {
  id: "small-only",
  run: ({ data }) =>
    JSON.stringify(data).length <= 1000
      ? Effect.void
      : Effect.fail(new HookError({ hookId: "small-only", message: "Events here are small" }))
}

const post = (port: number, body: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/streams/orders`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body
    })
    return { status: response.status, body: await response.json() as Record<string, unknown> }
  })

it.live("a program that embeds the server shares its streams with those who come over HTTP", () =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const program = Effect.gen(function*() {
      const streams = yield* StreamManager
      const { port } = yield* Server
      yield* streams.append(StreamName.make("orders"), { data: [EventData.fromValue({ id: 1 })] })
      const answer = yield* post(port, `{"data":{"id":2}}`)
      assert.strictEqual(answer.body["offset"], "0000000000000001")
      const stream = yield* streams.get(StreamName.make("orders"))
      const events = yield* Stream.runCollect(Stream.take(stream.subscribe("beginning"), 2))
      assert.deepStrictEqual(events.map((event) => event.data), [{ id: 1 }, { id: 2 }])
    })
    yield* Effect.scoped(Effect.provide(program, Server.layer(settings(directory), PlainFactory)))
  })))

it.live("a hook of the program refuses an append over HTTP with 422 and its name, and nothing is stored", () =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    const program = Effect.gen(function*() {
      const { port } = yield* Server
      const refused = yield* post(port, JSON.stringify({ data: "x".repeat(2000) }))
      assert.strictEqual(refused.status, 422)
      assert.strictEqual(refused.body["hookId"], "small-only")
      assert.strictEqual((yield* post(port, `{"data":1}`)).body["offset"], "0000000000000000")
    })
    const server = Server.layer(settings(directory), StreamFactory.layerWith({ beforeAppend: [smallOnly] }))
    yield* Effect.provide(program, server)
  })))

it.effect("streams work without a network, over any storage", () =>
  Effect.gen(function*() {
    const streams = yield* StreamManager
    yield* streams.append(StreamName.make("a"), { data: [EventData.fromText("1")] })
    assert.deepStrictEqual(yield* streams.list(), [StreamName.make("a")])
  }).pipe(
    Effect.provide(
      StreamManager.layer.pipe(Layer.provide(PlainFactory), Layer.provide(layerMemory))
    )
  ))
