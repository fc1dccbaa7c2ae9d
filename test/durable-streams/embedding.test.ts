/**
 * The server inside another program, as the README shows it.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { expect } from "vitest"
import type { BeforeAppendHook } from "../../src/durable-streams/index.ts"
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
import { root } from "../support/built.ts"
import { it as inRoom, until } from "../support/room.ts"

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

it.live("a program that embeds the server shares its streams with clients that come over HTTP", () =>
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
    yield* Effect.scoped(Effect.provide(program, Server.layer({ dataDirectory: directory, port: 0 }, PlainFactory)))
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
    const server = Server.layer(
      { dataDirectory: directory, port: 0 },
      StreamFactory.layerWith({ beforeAppend: [smallOnly] })
    )
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

inRoom("the example of the README is five lines, and serves as it stands, without any settings", async ({ room }) => {
  const readme = fs.readFileSync(path.join(root, "README.md"), "utf8")
  const code = /## Inside your program[^]*?```ts\n([^]*?)```/.exec(readme)?.[1] ?? ""
  expect(code.split("\n").filter((line) => line !== "")).toHaveLength(5)
  const modules = path.join(room.directory, "node_modules")
  const library = path.join(modules, "durable-streams")
  fs.mkdirSync(library, { recursive: true })
  fs.symlinkSync(path.join(root, "node_modules/effect"), path.join(modules, "effect"))
  fs.writeFileSync(path.join(library, "package.json"), JSON.stringify({ type: "module", exports: "./index.js" }))
  const index = path.join(root, "src/durable-streams/index.ts")
  fs.writeFileSync(path.join(library, "index.js"), `export * from ${JSON.stringify(index)}\n`)
  fs.writeFileSync(path.join(room.directory, "serve.mts"), code)
  const running = room.spawn(process.execPath, ["serve.mts"], {})
  const log = path.join(room.dataDirectory, "streams/orders.json")
  await until(() => fs.existsSync(log) && fs.readFileSync(log, "utf8").includes(`{"id":1}`), () => running.stderr)
  // It holds the lock of its directory, as every server does.
  expect(await room.ds(["server", "run"])).toMatchObject({ code: 5 })
  running.kill("SIGKILL")
  await running.ended
})
